"""Top-k by the scores that depend on norms, over strips of references of falling log-norm.

``strict`` compares a strip with the queries that admit any of it (n_q - n_r <= tau), which are the
last ones where queries are sorted by the number of references that they admit: half the work of
plain neighbours where both sides have norms of one law. An inadmissible neighbour in a list is
dropped; references that it displaced are left to the certificate: another fetch has fewer queries,
so that strips end where their prefixes do.

``soft`` and ``hinge`` are a cosine plus a gain g(n_q, n_r) of the norms, and g never falls with
n_r. So the m nearest of a strip by cosine are enough: a reference beyond them scores at most the
last cosine plus g at the strip's first norm. Norms differ little within a strip, and where that
bound could still hide a better pair the strip is searched again in narrower ones. References are
read in place. ``soft`` is also an inner product in D + 2 dimensions, for which references have to
be rewritten: that pays for many queries, which would start a list in every strip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from asl.index.engines.protocol import LIST_ENTRY_COST, Engine
from asl.index.exact.norm_sorted import NormSortedReferences, strip_count
from asl.index.exact.top_lists import TopLists, kth
from asl.scoring.score import Score, from_cosines
from asl.types import F32, F64, I64, QueryEmbeddings

_SUBSTRIPS = 8  # strips into which a strip with a loose bound is divided
# Gain that norms may add within a strip: less than most queries' k-th and m-th cosines differ by.
_STRIP_GAIN = 0.01
_LIST_TIME_SHARE = 0.03  # share of the time that may go into starting lists,
_LEAST_STRIPS = 3  # but never fewer strips than these: searching all of it again costs more
_ENCODE_COST = 110  # cost of rewriting one number of a reference, in multiplications


def nearest_top(
    queries: F32,
    lengths: I64,
    references: NormSortedReferences,
    m: int,
    engine: Engine,
    *,
    width: int,
) -> TopLists:
    """Find each query's m nearest references in its prefix, and bound the cosine of all others.

    Args:
        queries: float32 ``[Q, D]``, by rising length of their prefix.
        lengths: int64 ``[Q]`` length of each query's prefix.
        references: the sorted references.
        m: list length.
        engine: searches a strip.
        width: most references that it gets at once.

    >>> from asl.index.engines.numpy_exact import NumpyExact
    >>> from asl.types import ReferenceEmbeddings
    >>> vectors = np.eye(3, dtype=np.float32)
    >>> norms = np.array([0.4, 0.2, 0.0], dtype=np.float32)
    >>> references = ReferenceEmbeddings(np.array(["a", "b", "c"]), vectors, norms)
    >>> by_norm = NormSortedReferences.of(references, tau=0.0)
    >>> query, length = np.array([[0.6, 0.0, 0.8]], dtype=np.float32), np.array([2])
    >>> nearest_top(query, length, by_norm, 1, NumpyExact(), width=10).rows.tolist()
    [[0]]
    """
    best = TopLists(len(queries), m)
    cost = engine.list_entry_cost
    count = strip_count(lengths, dim=queries.shape[1], m=m, list_entry_cost=cost)
    for low, high in references.cut(lengths, 0, int(lengths[-1]), count=count, width=width):
        first = int(np.searchsorted(lengths, low, side="right"))
        scores, rows, bound = references.list_strip(engine, queries[first:], low, high, m)
        scores = np.where(rows >= lengths[first:, None], np.float32(-np.inf), scores)
        best.merge(np.arange(first, len(queries)), scores, rows, bound, engine.rounding)
    return best


def penalised_top(
    queries: QueryEmbeddings,
    rows: I64,
    references: NormSortedReferences,
    m: int,
    engine: Engine,
    *,
    score: Score,
    k: I64,
    width: int,
) -> TopLists:
    """Find the m best references by ``soft`` or ``hinge``, and bound the score of all others.

    Args:
        queries: all queries.
        rows: int64 ``[Q']`` the queries to search for.
        references: the sorted references.
        m: list length.
        engine: searches a strip.
        score: ``soft`` or ``hinge``, without normalisation.
        k: int64 ``[Q']`` entries of each list that have to be certain, at most m.
        width: most references that the engine gets at once.

    >>> from asl.index.engines.numpy_exact import NumpyExact
    >>> from asl.types import ReferenceEmbeddings
    >>> vectors = np.eye(3, dtype=np.float32)
    >>> norms = np.array([0.4, 0.2, 0.0], dtype=np.float32)
    >>> references = ReferenceEmbeddings(np.array(["a", "b", "c"]), vectors, norms)
    >>> by_norm = NormSortedReferences.of(references, tau=0.0)
    >>> query = QueryEmbeddings(np.array(["q"]), vectors[2:], np.array([0.4], np.float32))
    >>> rows, k, score = np.array([0]), np.array([1]), Score("hinge", lam=0.5)
    >>> best = penalised_top(query, rows, by_norm, 1, NumpyExact(), score=score, k=k, width=10)
    >>> best.rows.tolist(), best.scores.round(1).tolist() == [[np.float32(0.8)]]
    ([[2]], True)
    """
    unbounded = np.full(len(rows), -np.inf)
    group = _QueryGroup(queries.vectors[rows], queries.log_norms[rows], k, unbounded)
    norms = references.log_norms
    if score.mode == "soft":
        norms = score.clipped(norms)
    count = _strip_count(norms, score.lam, dim=queries.dim, list_cost=m * engine.list_entry_cost)
    search = _PenalisedSearch(references, norms, engine, m, score, width)
    return search.top(group, 0, len(norms), count=count)


def encoding_pays(
    queries: int,
    references: NormSortedReferences,
    m: int,
    score: Score,
    *,
    list_entry_cost: int = LIST_ENTRY_COST,
) -> bool:
    """Report whether ``soft`` is quicker as an inner product in D + 2 dimensions than in strips.

    Args:
        queries: number of queries.
        references: the sorted references; those on a device would have to be sent again.
        m: list length.
        score: ``soft``.
        list_entry_cost: of the engine.

    >>> from asl.types import ReferenceEmbeddings
    >>> vectors = np.eye(3, dtype=np.float32)
    >>> norms = np.array([0.4, 0.2, 0.0], dtype=np.float32)
    >>> references = ReferenceEmbeddings(np.array(["a", "b", "c"]), vectors, norms)
    >>> by_norm = NormSortedReferences.of(references, tau=0.0)
    >>> encoding_pays(1000, by_norm, 1, Score("soft", lam=0.1))
    True
    """
    if references.held is not None:
        return False
    norms = score.clipped(references.log_norms)
    list_cost = m * list_entry_cost
    count = _strip_count(norms, score.lam, dim=references.vectors.shape[1], list_cost=list_cost)
    lists = list_cost * (count - 1) * queries
    loose = _largest_gain(norms, score.lam) / count > _STRIP_GAIN
    return loose or _ENCODE_COST * references.vectors.size < lists


@dataclass(frozen=True, eq=False)
class _QueryGroup:
    """Queries that are searched together.

    Attributes:
        vectors: float32 ``[Q, D]``.
        log_norms: float32 ``[Q]``.
        k: int64 ``[Q]`` entries of each list that have to be certain.
        floor: float64 ``[Q]`` score that an entry has to reach to matter.
    """

    vectors: F32
    log_norms: F32
    k: I64
    floor: F64

    def take(self, rows: I64, floor: F64) -> _QueryGroup:
        """Return some of the queries, with their floors."""
        return _QueryGroup(self.vectors[rows], self.log_norms[rows], self.k[rows], floor)


@dataclass(frozen=True, eq=False)
class _PenalisedSearch:
    """State shared by all strips of a search.

    Attributes:
        references: the sorted references.
        norms: float32 ``[R]`` their log-norms as the score reads them (clipped for ``soft``),
            falling.
        engine: searches a strip.
        m: list length.
        score: ``soft`` or ``hinge``, without normalisation.
        width: most references that the engine gets at once.
    """

    references: NormSortedReferences
    norms: F32
    engine: Engine
    m: int
    score: Score
    width: int

    def top(self, group: _QueryGroup, low: int, high: int, *, count: int) -> TopLists:
        """Find the m best among the references low..high-1, in about ``count`` strips."""
        best = TopLists(len(group.k), self.m)
        cuts = self._cuts(low, high, count)
        bounds = [self._search_strip(group, start, stop, best) for start, stop in cuts]
        floor = np.maximum(group.floor, kth(best.scores, group.k))
        for (start, stop), bound in zip(cuts, bounds, strict=True):
            again = self._unsure(group, floor, bound, start, stop)
            if len(again):
                narrower = group.take(again, floor[again])
                lists = self.top(narrower, start, stop, count=_SUBSTRIPS)
                best.forget(again, start, stop)
                best.merge(again, lists.scores, lists.rows, lists.bound, lists.rounding)
                bound[again] = -np.inf
            best.bound = np.maximum(best.bound, bound)
        return best

    def _unsure(
        self,
        group: _QueryGroup,
        floor: F64,
        bound: F64,
        start: int,
        stop: int,
    ) -> I64:
        """Return the queries for which narrower strips can tighten the bound of a strip."""
        if self.references.has_fixed_strips:
            return np.empty(0, dtype=np.int64)
        unsure = np.flatnonzero((bound >= floor) & np.isfinite(bound))
        # Where the gain is the same all over the strip, only a longer list can help.
        norms = group.log_norms[unsure]
        highest = self._gain(norms, self.norms[start])
        lowest = self._gain(norms, self.norms[stop - 1])
        return unsure[highest > lowest]

    def _cuts(self, low: int, high: int, count: int) -> list[tuple[int, int]]:
        """Cut at equal steps of the norm between its extremes, and in the middle.

        The cut in the middle makes sure that strips become shorter.
        """
        ends = np.array([high])
        if count > 1:
            extremes = (high - low) // 1000
            top, bottom = self.norms[low + extremes], self.norms[high - 1 - extremes]
            steps = np.linspace(-top, -bottom, count + 1, dtype=np.float64)
            falling = -self.norms[low:high].astype(np.float64)
            inner = np.append(np.searchsorted(falling, steps[1:-1]), (high - low) // 2)
            ends = low + np.unique(inner)
        return self.references.cut(ends, low, high, count=len(ends), width=self.width)

    def _search_strip(self, group: _QueryGroup, start: int, stop: int, best: TopLists) -> F64:
        """Search a strip; return float64 ``[Q]`` bounds on the scores that the lists leave out."""
        rounding = self.engine.rounding
        cosines, rows, bound = self.references.list_strip(
            self.engine, group.vectors, start, stop, self.m
        )
        gain = self._gain(group.log_norms[:, None], self.norms[rows])
        scores = (cosines + gain).astype(np.float32)
        # The sum is rounded once more, and scores may be large.
        rounding += 2.0**-23 * float(np.abs(gain).max() + 1.0)
        no_bound = np.full(len(rows), -np.inf)
        best.merge(np.arange(len(rows)), scores, rows, no_bound, rounding)
        highest_gain = self._gain(group.log_norms, self.norms[start])
        return bound + highest_gain + rounding - self.engine.rounding

    def _gain(self, queries: F32, references: F32) -> F64:
        """Return the score minus the cosine, from log-norms (arrays that broadcast)."""
        return from_cosines(np.zeros(1), queries, references, self.score)


def _strip_count(norms: F32, lam: float, *, dim: int, list_cost: int) -> int:
    """Number of strips with little gain inside, limited by the cost of starting their lists."""
    affordable = _LIST_TIME_SHARE * len(norms) * dim / list_cost
    precise = _largest_gain(norms, lam) / _STRIP_GAIN
    return max(1, math.ceil(min(precise, max(_LEAST_STRIPS, affordable))))


def _largest_gain(norms: F32, lam: float) -> float:
    return lam * float(norms[0] - norms[-1])
