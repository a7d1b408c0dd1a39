"""Verify candidate pairs by their pixels: the second stage of a search and of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from asl.console.progress import progress_bar
from asl.data.catalog import Catalog, CatalogLoader
from asl.features.fingerprints import fingerprint
from asl.matching import Budget, Verdict, Verified, Verifier, verify_pairs
from asl.matching.align.prepare import Prepared
from asl.matching.run.workers import Inspect
from asl.pipeline.candidates import add_local, find_candidates, warn_failures
from asl.pipeline.image_checks import warn_changed
from asl.pipeline.inputs import SearchInput
from asl.scoring.score import Score
from asl.shared_defaults import CANDIDATES, LOCAL_CANDIDATES
from asl.types import F32, I64, ScoredPairs

Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class VerificationPlan:
    """Settings of the verification in a search.

    Attributes:
        local_candidates: candidates per query by local features; 0: none.
        budget: most pairs and seconds.
        workers: processes; None: one a core where there are many pairs.
    """

    local_candidates: int
    budget: Budget
    workers: int | None


class DirectionRule(Protocol):
    """Name which of two matching images is the original; the rule of scans and detectors."""

    def inspect(
        self, forward: Verdict, query: Prepared, reference: Prepared, verifier: Verifier
    ) -> Any:
        """See ``inspect`` of :func:`asl.matching.verify_pairs`."""

    def name(
        self,
        inspected: Mapping[int, Any],
        pairs: ScoredPairs,
        images: tuple[Catalog, Catalog],
        log_norms: tuple[F32, F32],
    ) -> dict[int, str]:
        """Return the words for the rows of ``pairs`` that were inspected.

        Args:
            inspected: row of ``pairs`` -> result of :meth:`inspect`.
            pairs: P pairs.
            images: of the queries, and of the references.
            log_norms: float32 ``[P]`` of the queries and of the references.
        """


def verify_images(
    pairs: ScoredPairs,
    images: tuple[Catalog, Catalog],
    *,
    workers: int | None = None,
    budget: Budget | None = None,
    cache: Path | None = None,
    inspect: Inspect | None = None,
) -> Verified:
    """Verify candidates on images of queries and references, with a progress bar.

    Args:
        pairs: candidates, higher = surer; see :func:`asl.matching.verify_pairs`.
        images: of the queries, and of the references.
        workers: processes; None: one a core where there are many pairs.
        budget: most pairs and seconds; None: no limit.
        cache: folder that keeps the local features of references between runs.
        inspect: see :func:`asl.matching.verify_pairs`.
    """
    query_images, reference_images = images
    collection = fingerprint(reference_images, pairs.references.tolist()) if cache else ""
    with progress_bar("verifying", unit="pairs") as progress:
        return verify_pairs(
            pairs,
            load_query=CatalogLoader.of(query_images),
            load_reference=CatalogLoader.of(reference_images),
            workers=workers,
            budget=budget,
            cache=cache,
            collection=collection,
            inspect=inspect,
            progress=progress,
        )


def verify_candidates(
    pairs: ScoredPairs,
    inputs: SearchInput,
    columns: Columns,
    *,
    k: int,
    most: int | None,
    plan: VerificationPlan,
    rule: DirectionRule,
) -> tuple[ScoredPairs, Columns]:
    """Verify candidates and keep the ``k`` best pairs of every query by P(copy).

    Args:
        pairs: candidates with embedding scores.
        inputs: of the search.
        columns: of the pairs.
        k: pairs per query.
        most: best pairs over all queries (equal ones of the earlier query); None: all.
        plan: budget and workers.
        rule: names the directions.

    Returns:
        The pairs by falling probability within a query, and their columns with
        ``candidate_score``, ``reason`` and the ``direction`` of the rule: ``none`` where the pixels
        show no copy, ``unclear`` where the cues do not decide; that of the norms where the pair was
        not verified.
    """
    queries, references = inputs.images()
    warn_changed("query_images", np.unique(pairs.query_ids), queries, inputs.query_stamps)
    warn_changed(
        "reference_images", np.unique(pairs.reference_ids), references, inputs.reference_stamps
    )
    verified = verify_images(
        pairs,
        (queries, references),
        workers=plan.workers,
        budget=plan.budget,
        inspect=rule.inspect,
    )
    warn_failures(verified.failures, "not verified")
    reasons = [""] * len(pairs)
    for row, verdict in verified.verdicts.items():
        reasons[row] = verdict.reason
    columns = {
        **columns,
        "candidate_score": pairs.scores,
        "reason": np.array(reasons, dtype=np.str_),
    }
    order = top_rows(verified.pairs, k)
    if most is not None:
        order = order[np.sort(np.argsort(-verified.pairs.scores[order], kind="stable")[:most])]
    pairs, columns = verified.pairs.take(order), take_columns(columns, order)
    inspected = {
        place: verified.inspected[row]
        for place, row in enumerate(order.tolist())
        if row in verified.inspected
    }
    norms = np.asarray(columns["query_log_norm"]), np.asarray(columns["reference_log_norm"])
    directions = np.asarray(columns["direction"]).tolist()
    for place, word in rule.name(inspected, pairs, (queries, references), norms).items():
        directions[place] = word
    return pairs, {**columns, "direction": np.array(directions, dtype=np.str_)}


def take_columns(columns: Mapping[str, npt.NDArray[Any]], rows: I64) -> Columns:
    """Take the same rows of every column."""
    return {name: np.asarray(values)[rows] for name, values in columns.items()}


def top_rows(pairs: ScoredPairs, k: int | None) -> I64:
    """Rows of the ``k`` best pairs of every query (None: of all), best first.

    >>> pairs = ScoredPairs.from_ids(["a", "a", "b"], ["x", "y", "x"], [0.1, 0.9, 0.5])
    >>> top_rows(pairs, 1).tolist()
    [1, 2]
    """
    order = np.lexsort((pairs.reference_index, -pairs.scores, pairs.query_index))
    first = np.searchsorted(pairs.query_index[order], pairs.query_index[order], side="left")
    rank = np.arange(len(order)) - first
    return np.asarray(order if k is None else order[rank < k], dtype=np.int64)


def verify_run(
    inputs: SearchInput,
    score: Score,
    *,
    candidates: int = CANDIDATES,
    local_candidates: int = LOCAL_CANDIDATES,
    workers: int | None = None,
    cache: Path | None = None,
) -> ScoredPairs:
    """Verify the best candidates of every query of a benchmark.

    Args:
        inputs: embeddings and images of the benchmark.
        score: that ranks the candidates of the embeddings.
        candidates: per query, by embeddings.
        local_candidates: per query, by local features; 0: none.
        workers: processes.
        cache: folder that keeps the local features of references.

    Returns:
        Candidates scored by P(copy).
    """
    pairs = find_candidates(inputs, score, k=candidates)
    pairs = add_local(pairs, inputs, score=score, k=local_candidates, workers=workers, cache=cache)
    return verify_images(pairs, inputs.images(), workers=workers, cache=cache).pairs
