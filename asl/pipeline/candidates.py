"""Retrieve candidate pairs for verification: by embeddings, and by local features beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from asl.console.plain_console import PlainConsole
from asl.console.progress import progress_bar
from asl.counts import counted
from asl.data.catalog import CatalogLoader
from asl.features.fingerprints import fingerprint, glances
from asl.index.exact.region_search import search_regions
from asl.matching.candidates.learned_candidates import LEARNED, LEARNED_REFERENCES, fused
from asl.matching.candidates.local_candidates import (
    FeatureKind,
    LocalCandidates,
    local_candidates,
)
from asl.matching.candidates.local_features import SIFT
from asl.pipeline.inputs import SearchInput
from asl.scoring.score import Score, pair_scores
from asl.types import F32, I64, QueryEmbeddings, ReferenceEmbeddings, ScoredPairs, StrArray


def find_candidates(inputs: SearchInput, score: Score, *, k: int) -> ScoredPairs:
    """Retrieve the ``k`` best references of every query by embeddings, query regions included.

    Regions of the queries ignore the direction (a photo finds what was cropped from it), so the
    result is for verification and no ranking.
    """
    return search_regions(
        inputs.queries,
        inputs.references,
        reference_regions=inputs.reference_regions,
        query_regions=inputs.query_regions,
        score=score,
        k=k,
        background=inputs.background,
    )


def find_local(
    inputs: SearchInput,
    *,
    k: int,
    references: StrArray | None = None,
    workers: int | None = None,
    cache: Path | None = None,
) -> ScoredPairs:
    """Retrieve the references of every query that share most local features with it.

    ``k`` of them by SIFT features and, among 20,000 references at most, ``k`` by learned ones.
    References without an image are left out.

    Args:
        inputs: of a search; both roles need images. The index of the references' local features is
            kept in ``inputs.local_index`` until one of their images changes.
        k: references per query and kind of features, at most.
        references: ids of the references to search; None: those of ``inputs``.
        workers: processes that extract local features.
        cache: folder that keeps the local features of references, shared with the verifier.

    Returns:
        Pairs by falling score within a query; scores are votes, or the sum of 1 / rank over both
        kinds of features.

    Raises:
        UsageError: a role has no images.
    """
    query_images, reference_images = inputs.images()
    ids = inputs.references.ids if references is None else references
    ids = ids[np.isin(ids, reference_images.ids)]
    collection = fingerprint(reference_images, ids.tolist())
    keep = inputs.local_index

    def retrieve(kind: FeatureKind, label: str, keep: Path | None) -> LocalCandidates:
        with progress_bar(label, unit="images") as progress:
            return local_candidates(
                inputs.queries.ids,
                ids,
                load_query=CatalogLoader.of(query_images),
                load_reference=CatalogLoader.of(reference_images),
                kind=kind,
                k=k,
                workers=workers,
                cache=cache,
                collection=collection,
                versions=glances(reference_images, ids.tolist()),
                keep=keep,
                progress=progress,
            )

    found = retrieve(SIFT, "local features", keep)
    warn_failures(found.failures, "without local features")
    if len(ids) > LEARNED_REFERENCES:
        return found.pairs
    beside = keep.with_name(f"{keep.stem}-learned{keep.suffix}") if keep else None
    learned = retrieve(LEARNED, "learned features", beside)
    return fused([found.pairs, learned.pairs], queries=inputs.queries.ids, references=ids)


def join_candidates(
    pairs: ScoredPairs, local: ScoredPairs, inputs: SearchInput, *, score: Score
) -> ScoredPairs:
    """Join candidates of embeddings and of local features, each pair once, under one score.

    Args:
        pairs: candidates by embeddings, scored by ``score``.
        local: candidates by local features of the same queries.
        inputs: embeddings of these queries and of all candidates; a pair's score is its best over
            whole images and regions.
        score: of the result; a pair that it does not admit (``paper``, ``strict``) is dropped.

    Returns:
        Pairs ordered by query, then by falling score.
    """
    ids = inputs.references.ids
    first, voted = _rows_of(pairs, ids), _rows_of(local, ids)
    known = pairs.query_index * len(ids) + first
    fresh = np.flatnonzero(~np.isin(local.query_index * len(ids) + voted, known))
    query, reference = local.query_index[fresh], voted[fresh]
    scores = _best_scores(inputs, score, query, reference)
    admitted = np.isfinite(scores)
    query = np.concatenate([pairs.query_index, query[admitted]])
    reference = np.concatenate([first, reference[admitted]])
    values = np.concatenate([pairs.scores, scores[admitted]])
    order = np.lexsort((reference, -values, query))
    return ScoredPairs(pairs.queries, ids, query[order], reference[order], values[order])


def _rows_of(pairs: ScoredPairs, ids: StrArray) -> I64:
    """Return the row among ``ids`` of the reference of every pair, int64 ``[P]``."""
    if np.array_equal(pairs.references, ids):
        return pairs.reference_index
    order = np.argsort(ids)
    rows = order[np.searchsorted(ids, pairs.reference_ids, sorter=order)]
    return np.asarray(rows, dtype=np.int64)


def _best_scores(inputs: SearchInput, score: Score, query: I64, reference: I64) -> F32:
    """Score chosen pairs, float32 ``[P]``: the best over whole images and regions."""
    rounds: list[tuple[QueryEmbeddings, ReferenceEmbeddings]] = [
        (inputs.queries, inputs.references),
        *((inputs.queries, part.as_references()) for part in inputs.reference_regions),
        *((part.as_queries(), inputs.references) for part in inputs.query_regions),
    ]
    scores = [
        pair_scores(
            queries,
            references,
            score=score,
            query_index=query,
            reference_index=reference,
            background=inputs.background,
        )
        for queries, references in rounds
    ]
    return np.asarray(np.max(scores, axis=0), dtype=np.float32)


def add_local(
    pairs: ScoredPairs,
    inputs: SearchInput,
    *,
    score: Score,
    k: int,
    workers: int | None = None,
    cache: Path | None = None,
) -> ScoredPairs:
    """Add ``k`` candidates by local features to every query; 0 adds none."""
    if not k:
        return pairs
    local = find_local(inputs, k=k, workers=workers, cache=cache)
    return join_candidates(pairs, local, inputs, score=score)


def warn_failures(failures: Mapping[str, str], consequence: str) -> None:
    """Print how many images could not be read, and one of them with its reason."""
    if failures:
        name, reason = next(iter(failures.items()))
        PlainConsole(stderr=True).warn(
            f"{counted(len(failures), 'image')} {consequence}, e.g. {name}: {reason}"
        )
