"""What the verifier looks at: pairs that embeddings propose, and pairs that local features propose beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from asl.console.progress import progress_bar
from asl.data.catalog import Catalog, CatalogLoader
from asl.data.layouts import Benchmark
from asl.features.fingerprints import fingerprint
from asl.index.exact.region_search import search_regions
from asl.matching import Budget, Verified, verify_pairs
from asl.matching.candidates.local_features import local_candidates
from asl.pipeline.benchmark_run import Features
from asl.pipeline.search_input import SearchInput
from asl.scoring.score import Score, pair_scores
from asl.types import (
    I64,
    AslError,
    BackgroundEmbeddings,
    Embeddings,
    QueryEmbeddings,
    ReferenceEmbeddings,
    ScoredPairs,
    UsageError,
)


def find_candidates(features: Features, score: Score, *, k: int = 10) -> ScoredPairs:
    """What embeddings propose: regions of the queries are searched, too, whatever that does to direction."""
    return search_regions(
        features.queries,
        features.references,
        reference_regions=features.reference_regions,
        query_regions=features.query_regions,
        score=score,
        k=k,
        background=features.background,
    )


def find_local(
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
    query_images: Catalog,
    reference_images: Catalog,
    *,
    k: int,
    workers: int | None = None,
    cache: Path | None = None,
    keep: Path | None = None,
) -> ScoredPairs:
    """What local features propose for the same images; the scores are votes.

    Args:
        queries: whose ids are asked about.
        references: among whose ids copies are looked for.
        query_images: their images.
        reference_images: their images.
        k: most references of a query.
        workers: processes that find local features.
        cache: folder that keeps what is found in references, for the verifier as well.
        keep: file that keeps the index of the references.
    """
    with progress_bar("local features", unit="images") as progress:
        found = local_candidates(
            queries.ids,
            references.ids,
            load_query=CatalogLoader.of(query_images),
            load_reference=CatalogLoader.of(reference_images),
            k=k,
            workers=workers,
            cache=cache,
            collection=fingerprint(reference_images, references.ids.tolist()),
            keep=keep,
            progress=progress,
        )
    _say_failures(found.failures, "without local features")
    return found.pairs


def join_candidates(
    pairs: ScoredPairs,
    local: ScoredPairs,
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
    *,
    score: Score,
    background: BackgroundEmbeddings | None = None,
    reference_regions: Sequence[Embeddings] = (),
    query_regions: Sequence[Embeddings] = (),
) -> ScoredPairs:
    """Candidates of both kinds, each pair once, all scored as the first kind is; ordered by query, then by score.

    Args:
        pairs: what embeddings propose.
        local: what local features propose for the same queries and references.
        queries: their embeddings.
        references: their embeddings.
        score: of ``pairs``; a pair that it does not admit (``paper``, ``strict``) is no candidate.
        background: needed where the score is normalised.
        reference_regions: those that ``pairs`` were searched with: a pair's score is the best of
            its rounds.
        query_regions: the same of the queries.
    """
    count = len(pairs.references)
    known = pairs.query_index * count + pairs.reference_index
    fresh = np.flatnonzero(~np.isin(local.query_index * count + local.reference_index, known))
    query, reference = local.query_index[fresh], local.reference_index[fresh]
    rounds = [
        (queries, references),
        *((queries, region.as_references()) for region in reference_regions),
    ]
    rounds += [(region.as_queries(), references) for region in query_regions]
    found = [
        pair_scores(
            *sides, score=score, query_index=query, reference_index=reference, background=background
        )
        for sides in rounds
    ]
    scores = np.max(found, axis=0)
    admitted = np.isfinite(scores)
    query = np.concatenate([pairs.query_index, query[admitted]])
    reference = np.concatenate([pairs.reference_index, reference[admitted]])
    values = np.concatenate([pairs.scores, scores[admitted]])
    order = np.lexsort((reference, -values, query))
    return ScoredPairs(
        pairs.queries, pairs.references, query[order], reference[order], values[order]
    )


def add_local(
    pairs: ScoredPairs,
    left: SearchInput,
    right: SearchInput,
    background: SearchInput | None,
    *,
    score: Score,
    k: int,
    workers: int | None = None,
) -> ScoredPairs:
    """The candidates of a search, and ``k`` of local features for each query.

    The index of the local features is kept beside the references' store, until one of their images
    changes.
    """
    sides = left.embeddings.as_queries(), right.embeddings.as_references()
    local = find_local(
        *sides, *images_of(left, right), k=k, workers=workers, keep=right.path / "local.npz"
    )
    others = background.embeddings.as_background() if background else None
    return join_candidates(
        pairs,
        local,
        *sides,
        score=score,
        background=others,
        reference_regions=right.regions,
        query_regions=left.regions,
    )


def _say_failures(failures: Mapping[str, str], what: str) -> None:
    if failures:
        name, reason = next(iter(failures.items()))
        Console(stderr=True).print(f"[yellow]{len(failures)} images {what}, e.g. {name}: {reason}")


def images_of(left: SearchInput, right: SearchInput) -> tuple[Catalog, Catalog]:
    """The images of both sides.

    Raises:
        UsageError: one has none.
    """
    if left.images is None or right.images is None:
        raise UsageError(
            "score=verified looks at images: give query_images= and reference_images= beside the stores"
        )
    return left.images, right.images


def best_of_each(pairs: ScoredPairs, top: int | None) -> I64:
    """Rows of the ``top`` best pairs of every query (None: of all), best first."""
    order = np.lexsort((pairs.reference_index, -pairs.scores, pairs.query_index))
    first = np.searchsorted(pairs.query_index[order], pairs.query_index[order], side="left")
    rank = np.arange(len(order)) - first
    return np.asarray(order if top is None else order[rank < top], dtype=np.int64)


def look_at(
    pairs: ScoredPairs,
    query_images: Catalog,
    reference_images: Catalog,
    *,
    workers: int | None = None,
    budget: Budget | None = None,
    cache: Path | None = None,
    collection: str = "",
) -> Verified:
    """The pixels of candidates; see :func:`asl.matching.verify_pairs`."""
    with progress_bar("verifying", unit="pairs") as progress:
        return verify_pairs(
            pairs,
            load_query=CatalogLoader.of(query_images),
            load_reference=CatalogLoader.of(reference_images),
            workers=workers,
            budget=budget,
            cache=cache,
            collection=collection,
            progress=progress,
        )


def check_limits(
    k: int | None, *, local: int, most: int | None, pairs: int | None, seconds: float | None
) -> None:
    """Refuse limits that make no sense for ``score=verified``.

    Raises:
        UsageError: with the key and what it may be.
    """
    if k is None:
        raise UsageError(
            "k: score=verified looks at the k best of every query; give a number (beside most=, above=)"
        )
    if local < 0:
        raise UsageError(f"local: must be 0 or more, got {local}")
    if most is not None and most < 1:
        raise UsageError(f"most: must be 1 or more, got {most}")
    try:
        Budget(pairs, seconds)
    except AslError as error:
        raise UsageError(str(error).removeprefix("budget.")) from error


_DIRECTIONS = {
    "query<-reference": "reference->query",
    "reference<-query": "query->reference",
    "none": "none",
}


def verify_candidates(
    pairs: ScoredPairs,
    left: SearchInput,
    right: SearchInput,
    columns: dict[str, Any],
    *,
    k: int | None,
    most: int | None,
    budget: Budget,
    workers: int | None,
) -> tuple[ScoredPairs, dict[str, Any]]:
    """The ``k`` pairs of every query by falling P(copy), with their columns, ``candidate_score`` and ``reason``.

    ``most`` leaves the best over all queries, equal ones of the earlier query. ``direction`` is
    what was seen: ``none`` where the pixels show no copy; where there was nothing to see it stays
    that of the norms.

    Raises:
        UsageError: a side has no images.
    """
    verified = look_at(pairs, *images_of(left, right), workers=workers, budget=budget)
    _say_failures(verified.failures, "not looked at")
    reasons, directions = [""] * len(pairs), np.asarray(columns["direction"]).tolist()
    for row, verdict in verified.verdicts.items():
        reasons[row] = verdict.reason
        directions[row] = _DIRECTIONS[verdict.direction] if verdict.seen else directions[row]
    columns = {
        **columns,
        "direction": directions,
        "candidate_score": pairs.scores,
        "reason": reasons,
    }
    order = best_of_each(verified.pairs, k)
    if most is not None:
        order = order[np.sort(np.argsort(-verified.pairs.scores[order], kind="stable")[:most])]
    return verified.pairs.take(order), {
        name: np.asarray(values)[order] for name, values in columns.items()
    }


def verify_run(
    benchmark: Benchmark,
    features: Features,
    score: Score,
    *,
    top: int = 3,
    local: int = 3,
    workers: int | None = None,
    cache: Path | None = None,
) -> ScoredPairs:
    """The second stage on a benchmark: the pixels of the best candidates of every query.

    Args:
        benchmark: its images.
        features: their embeddings.
        score: that orders what embeddings propose.
        top: candidates of a query by its embeddings.
        local: and by local features; 0: none.
        workers: processes.
        cache: folder that keeps the local features of references.
    """
    candidates = find_candidates(features, score, k=top)
    if local:
        found = find_local(
            features.queries,
            features.references,
            benchmark.queries,
            benchmark.references,
            k=local,
            workers=workers,
            cache=cache,
        )
        candidates = join_candidates(
            candidates,
            found,
            features.queries,
            features.references,
            score=score,
            background=features.background,
            reference_regions=features.reference_regions,
            query_regions=features.query_regions,
        )
    collection = fingerprint(benchmark.references, features.references.ids.tolist())
    images = benchmark.queries, benchmark.references
    return look_at(candidates, *images, workers=workers, cache=cache, collection=collection).pairs
