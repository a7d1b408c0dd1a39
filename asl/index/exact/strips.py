"""Top-k by the scores that norms have a part in, over strips of references of falling log-norm.

``strict`` compares a strip with the queries that admit any of it (n_q - n_r <= tau), which are the
last ones where
queries are sorted by how many they admit: half the work of plain neighbours where both sides have
norms of one law. An inadmissible neighbour in a list is dropped; what it hid is left to the
certificate: another fetch has fewer queries, so that strips end where their prefixes do.

``soft`` and ``hinge`` are a cosine plus what the norms add, g(n_q, n_r), and g never falls with
n_r. So the m nearest
of a strip by cosine are enough: whatever is left out of them scores at most the last cosine plus g
at the strip's first norm. Norms differ little within a strip, and where that bound could still hide
something the strip is searched again in narrower ones. References are read in place. ``soft`` is
also an inner product in D + 2 dimensions, for which they
have to be written anew: that pays for many queries, which would begin a list in every strip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asl.index.engines.protocol import Engine
from asl.index.exact.norm_sorted import BEGIN, NormSortedReferences, pieces, strips
from asl.index.exact.top_lists import TopLists, kth, listed
from asl.scoring.score import Score, from_cosines
from asl.types import F32, I64, QueryEmbeddings

_NARROWER = 8  # strips of a strip
# what norms may add within a strip: less than lies between the k-th and the m-th cosine of most
# queries
_STEP = 0.01
_BEGINNING = 0.03  # share of the time that may go into beginning lists,
_WRITE = 110  # what writing a number of a reference costs, in multiplications
_FEW = 3  # but for so many: to search all of it again costs more


def strict_top(
    queries: QueryEmbeddings,
    rows: I64,
    prefixes: NormSortedReferences,
    m: int,
    engine: Engine,
    *,
    width: int,
) -> TopLists:
    """The m nearest admissible references of each query, and a bound on the cosine of every admissible one left out.

    Args:
        queries: all queries.
        rows: int64 ``[Q']`` which of them, by rising length of their prefix.
        prefixes: the sorted references.
        m: how many to fetch.
        engine: searches a strip.
        width: most references that it gets at once.
    """
    lengths, left = prefixes.lengths(queries.log_norms[rows]), queries.vectors[rows]
    best = TopLists(len(rows), m)
    count = pieces(lengths, dim=queries.dim, m=m)
    for low, high in strips(lengths, 0, int(lengths[-1]), count=count, width=width):
        first = int(np.searchsorted(lengths, low, side="right"))
        found = listed(
            engine, left[first:], prefixes.strip(low, high), m, start=low, rounding=engine.rounding
        )
        found[0][found[1] >= lengths[first:, None]] = -np.inf
        best.merge(np.arange(first, len(rows)), *found, engine.rounding)
    return best


def penalised_top(
    queries: QueryEmbeddings,
    rows: I64,
    prefixes: NormSortedReferences,
    m: int,
    engine: Engine,
    *,
    score: Score,
    k: I64,
    width: int,
) -> TopLists:
    """The m best references of each query by ``soft`` or ``hinge``, and a bound on the score of every one left out.

    Args:
        queries: all queries.
        rows: int64 ``[Q']`` which of them.
        prefixes: the sorted references.
        m: how many to fetch.
        engine: searches a strip.
        score: ``soft`` or ``hinge``, without normalisation.
        k: int64 ``[Q']`` how many have to be sure, at most m.
        width: most references that the engine gets at once.
    """
    side = _Side(queries.vectors[rows], queries.log_norms[rows], k, np.full(len(rows), -np.inf))
    norms = score.clipped(prefixes.log_norms) if score.mode == "soft" else prefixes.log_norms
    count = _count(norms, score.lam, dim=queries.dim, m=m)
    return _Penalised(prefixes, norms, engine, m, score, width).top(
        side, 0, len(norms), count=count
    )


def encoding_pays(queries: int, prefixes: NormSortedReferences, m: int, score: Score) -> bool:
    """Whether ``soft`` is quicker as an inner product than in strips, for so many queries that fetch m each."""
    norms, dim = score.clipped(prefixes.log_norms), prefixes.vectors.shape[1]
    count = _count(norms, score.lam, dim=dim, m=m)
    begun = BEGIN * m * (count - 1) * queries
    return _spread(norms, score.lam) / count > _STEP or _WRITE * prefixes.vectors.size < begun


@dataclass(frozen=True, eq=False)
class _Side:
    """Some queries.

    Attributes:
        vectors: float32 ``[Q, D]``.
        log_norms: float32 ``[Q]``.
        k: int64 ``[Q]`` how many have to be sure.
        floor: float64 ``[Q]`` score below which nothing is wanted.
    """

    vectors: F32
    log_norms: F32
    k: I64
    floor: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Penalised:
    """What all strips of a search have in common; ``norms`` are the references' as the score sees them, falling."""

    prefixes: NormSortedReferences
    norms: F32
    engine: Engine
    m: int
    score: Score
    width: int

    def top(self, side: _Side, low: int, high: int, *, count: int) -> TopLists:
        """The m best among the references low..high-1, in about so many strips."""
        best = TopLists(len(side.k), self.m)
        cuts = self._cuts(low, high, count)
        bounds = [self._strip(side, start, stop, best) for start, stop in cuts]
        floor = np.maximum(side.floor, kth(best.scores, side.k))
        for (start, stop), bound in zip(cuts, bounds, strict=True):
            again = np.flatnonzero((bound >= floor) & np.isfinite(bound))
            # Where norms count alike all over the strip, only a longer list can help.
            first, last = (
                self._gain(side.log_norms[again], self.norms[row]) for row in (start, stop - 1)
            )
            again = again[first > last]
            if len(again):
                part = _Side(
                    side.vectors[again], side.log_norms[again], side.k[again], floor[again]
                )
                found = self.top(part, start, stop, count=_NARROWER)
                best.forget(again, start, stop)
                best.merge(again, found.scores, found.rows, found.bound, found.rounding)
                bound[again] = -np.inf
            best.bound = np.maximum(best.bound, bound)
        return best

    def _cuts(self, low: int, high: int, count: int) -> list[tuple[int, int]]:
        """Strips of equal steps of the norm, but for the extremes; a cut in the middle makes sure that they shorten."""
        if count == 1:
            ends = np.array([high])
        else:
            few = (high - low) // 1000
            steps = np.linspace(
                -self.norms[low + few], -self.norms[high - 1 - few], count + 1, dtype=np.float64
            )
            falling = -self.norms[low:high].astype(np.float64)
            ends = low + np.unique(
                np.append(np.searchsorted(falling, steps[1:-1]), (high - low) // 2)
            )
        return strips(ends, low, high, count=len(ends), width=self.width)

    def _strip(self, side: _Side, start: int, stop: int, best: TopLists) -> npt.NDArray[np.float64]:
        """Search a strip; float64 ``[Q]`` bounds on the scores of what is left out of the lists."""
        rounding = self.engine.rounding
        right = self.prefixes.strip(start, stop)
        cosines, rows, bound = listed(
            self.engine, side.vectors, right, self.m, start=start, rounding=rounding
        )
        gain = self._gain(side.log_norms[:, None], self.norms[rows])
        scores = (cosines + gain).astype(np.float32)
        # The sum is rounded once more, and scores may be large.
        rounding += 2.0**-23 * float(np.abs(gain).max() + 1.0)
        best.merge(np.arange(len(rows)), scores, rows, np.full(len(rows), -np.inf), rounding)
        return (
            bound + self._gain(side.log_norms, self.norms[start]) + rounding - self.engine.rounding
        )

    def _gain(self, queries: F32, references: F32) -> npt.NDArray[np.float64]:
        """What norms add to the cosine (arrays that broadcast)."""
        return from_cosines(np.zeros(1), queries, references, self.score)


def _count(norms: F32, lam: float, *, dim: int, m: int) -> int:
    """Strips in which norms (falling) differ little, but not so many that beginning their lists costs much."""
    affordable = _BEGINNING * len(norms) * dim / (BEGIN * m)
    return max(1, math.ceil(min(_spread(norms, lam) / _STEP, max(_FEW, affordable))))


def _spread(norms: F32, lam: float) -> float:
    return lam * float(norms[0] - norms[-1])
