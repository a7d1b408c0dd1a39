"""Compare a query with its candidates, on all cores."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

import numpy as np

from asl.app.library.image_store import ImageStore
from asl.app.library.reference_index import ReferenceIndex, Retrieved
from asl.app.library.vectors import VectorView
from asl.app.matches import Match
from asl.app.pairs.pair_verifier import PairVerifier
from asl.app.query import Candidate, Query, match_candidate
from asl.app.scanning.pair_prospects import PairProspects
from asl.matching.candidates.local_features import local_features
from asl.parallel import usable_cores
from asl.scoring.score import Score
from asl.shared_defaults import NEIGHBOURS
from asl.types import F32, I64, AslError, UsageError


class CandidateComparer:
    """Retrieve and compare the candidates of queries; several threads may ask at once."""

    def __init__(
        self,
        store: ImageStore,
        references: ReferenceIndex,
        verifier: PairVerifier,
        *,
        score: Score,
        threshold: float,
        rule: PairProspects | None = None,
    ) -> None:
        """Set what is compared.

        Args:
            store: of the references.
            references: that can be searched.
            verifier: has their thumbnails.
            score: of the embeddings.
            threshold: probability from which on a match is accepted.
            rule: for the candidates that are compared; None: all.
        """
        self._store, self._references = store, references
        self._verifier = verifier
        self._score, self._threshold = score, threshold
        self._rule = rule
        self._threads = ThreadPoolExecutor(usable_cores(), thread_name_prefix="compare")
        self._closed = False

    def compare(self, query: Query, k: int, end: float) -> list[Match | None]:
        """Compare the candidates of a query, best first.

        Args:
            query: the embedded query.
            k: candidates by embeddings, beside those by local features.
            end: seconds of ``time.monotonic()``, after which only the first ten are compared.

        Returns:
            One match a candidate that was compared; None for one that was removed meanwhile.

        Raises:
            UsageError: the detector is closed.
        """
        if self._closed:
            raise UsageError("detector: is closed; make another CopyDetector, of the same folder")
        learned = query.begin_learned(self._threads)
        found = self._references.nearest(query.vectors, local_features(query.prepared), k)
        list(learned)
        rows = found.rows if self._rule is None else self._promising(query, found, self._rule)
        match = partial(self._match, query, found.view)
        return compare_until(rows.tolist(), end, match, self._threads)

    def _promising(self, query: Query, found: Retrieved, rule: PairProspects) -> I64:
        """Select the candidates that can match, by their cosines and a test of their features.

        Those that local features found are tested whatever their cosine.
        """
        cosines = best_cosines(query.vectors, found.view, found.rows)
        tested = rule.is_tested(cosines, np.where(found.voted, np.inf, 0).astype(np.float32))
        rows, cosines = found.rows[tested], cosines[tested]
        counts = self._threads.map(
            partial(self._agreeing, query, found.view),
            rows.tolist(),
            rule.is_sure(cosines).tolist(),
        )
        kept = rule.is_compared(cosines, np.array(list(counts), dtype=np.float64))
        return np.asarray(rows[kept], dtype=np.int64)

    def _agreeing(self, query: Query, view: VectorView, row: int, is_sure: bool) -> float:
        """Count the agreeing features of a candidate; infinite where its comparison has to tell."""
        known = self._references.names.get(view.keys[row])
        if is_sure or known is None:
            return np.inf
        try:
            count = self._verifier.agreeing(query.prepared, known.digest)
        except AslError:  # the comparison finds whether it is gone or damaged
            return np.inf
        return np.nan if count is None else float(count)

    def _match(self, query: Query, view: VectorView, row: int) -> Match | None:
        name = view.keys[row]
        known = self._references.names.get(name)
        if known is None:  # removed while this query ran
            return None
        try:
            facts = self._store.facts([known.digest])[known.digest]
            return match_candidate(
                query,
                Candidate.of(known, facts, view, row),
                self._verifier,
                score=self._score,
                threshold=self._threshold,
            )
        except (AslError, KeyError):
            if self._references.names.get(name) is known:
                raise
            return None  # removed or replaced while this query ran

    def close(self) -> None:
        """Wait for the comparisons that have begun, end the threads, and refuse further queries."""
        self._closed = True
        self._threads.shutdown(cancel_futures=True)


def best_cosines(query: F32, view: VectorView, rows: I64) -> F32:
    """Return the highest cosines of candidates, as their search compares them: float32 ``[n]``.

    Args:
        query: float32 ``[1 + S, D]`` unit rows: the whole image, then its regions.
        view: of the references.
        rows: int64 ``[n]`` of the view.
    """
    whole = (view.vectors[rows] @ query.T).max(axis=1)
    regions = (view.regions[rows] @ query[0]).max(axis=1, initial=-1.0)
    return np.asarray(np.maximum(whole, regions), dtype=np.float32)


def compare_until(
    rows: Sequence[int],
    end: float,
    compare: Callable[[int], Match | None],
    threads: Executor,
) -> list[Match | None]:
    """Compare candidates on all cores; after ``end`` only the first ten and what has begun.

    Args:
        rows: of the candidates, best first.
        end: seconds of ``time.monotonic()``.
        compare: row -> match; None for a candidate that is gone.
        threads: that compare.

    Returns:
        The results, in order, without those of candidates that were not compared.
    """

    def in_time(place: tuple[int, int]) -> list[Match | None]:
        number, row = place
        if number >= NEIGHBOURS and time.monotonic() > end:
            return []
        return [compare(row)]

    found = threads.map(in_time, enumerate(rows))
    return [match for results in found for match in results]
