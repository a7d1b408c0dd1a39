"""Top-k by the two scores that are no inner products, as inner products over strips of references.

References are sorted by falling log-norm and queries by how many they admit (n_q - n_r <= tau). ``strict`` compares a
strip of references with the queries that admit any of it, which are the last ones: half the work of plain neighbours
where both sides have norms of one law. ``hinge`` compares all strips with all queries; it is the smaller of

    u_q . u_r    and    u_q . u_r + lam n_r - lam (n_q - tau),

the first for references that the query admits, the second for the others: one inner product in D + 2 dimensions for
every query whose prefix does not end inside the strip, and an upper bound for the others. Where that bound could hide
something, the strip is searched again in narrower ones. An inadmissible neighbour in a list of ``strict`` is dropped;
what it hid is left to the certificate: another fetch has fewer queries, so that strips end where their prefixes do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asl.index.engine import Engine
from asl.index.prefixes import Prefixes, pieces, strips
from asl.index.running import Running, encoded_rounding, kth, listed
from asl.scoring.score import Score, encode_rows
from asl.types import F32, I64, QueryEmbeddings

_NARROWER = 8  # strips of a strip


def strict_top(
    queries: QueryEmbeddings, rows: I64, prefixes: Prefixes, m: int, engine: Engine, *, width: int
) -> Running:
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
    best = Running(len(rows), m)
    count = pieces(lengths, dim=queries.dim, m=m)
    for low, high in strips(lengths, 0, int(lengths[-1]), count=count, width=width):
        first = int(np.searchsorted(lengths, low, side="right"))
        found = listed(engine, left[first:], prefixes.strip(low, high), m, start=low, rounding=engine.rounding)
        found[0][found[1] >= lengths[first:, None]] = -np.inf
        best.merge(first, *found, engine.rounding)
    return best


def hinge_top(
    queries: QueryEmbeddings,
    rows: I64,
    prefixes: Prefixes,
    m: int,
    engine: Engine,
    *,
    lam: float,
    k: I64,
    width: int,
) -> Running:
    """The m best references of each query by ``hinge``, and a bound on the score of every one left out.

    Args:
        queries: all queries.
        rows: int64 ``[Q']`` which of them, by rising length of their prefix.
        prefixes: the sorted references.
        m: how many to fetch.
        engine: searches a strip.
        lam: weight of the log-norm difference.
        k: int64 ``[Q']`` how many have to be sure, at most m.
        width: most references that the engine gets at once.
    """
    left = np.empty((len(rows), queries.dim + 2), dtype=np.float32)
    left[:, :-2] = queries.vectors[rows]
    norms = queries.log_norms[rows]
    side = _Side(left, prefixes.lengths(norms), norms - np.float32(prefixes.tau), k)
    # Nothing is compared in vain, so that wider strips than those of `strict` pay.
    count = max(1, pieces(side.lengths, dim=queries.dim, m=m) // 3)
    return _Hinge(prefixes, engine, m, Score("soft", lam), width).top(side, 0, len(prefixes.log_norms), count=count)


@dataclass(frozen=True, eq=False)
class _Side:
    """Some queries, by rising length of their prefix.

    Attributes:
        left: float32 ``[Q, D + 2]``, the last two columns as a strip wants them.
        lengths: int64 ``[Q]`` how many references they admit.
        free: float32 ``[Q]`` log-norm n_q - tau from which on a reference costs nothing.
        k: int64 ``[Q]`` how many have to be sure.
    """

    left: F32
    lengths: I64
    free: F32
    k: I64

    def take(self, rows: I64) -> _Side:
        return _Side(self.left[rows], self.lengths[rows], self.free[rows], self.k[rows])


@dataclass(frozen=True, eq=False)
class _Hinge:
    """What all strips of a search have in common."""

    prefixes: Prefixes
    engine: Engine
    m: int
    score: Score
    width: int

    def top(self, side: _Side, low: int, high: int, *, count: int) -> Running:
        """The m best among the references low..high-1, in so many strips."""
        best, near = Running(len(side.k), self.m), Running(len(side.k), self.m)
        cuts = strips(side.lengths, low, high, count=count, width=self.width)
        # One buffer for all strips: fresh memory costs more than what is written into it.
        buffer = np.empty((max(stop - start for start, stop in cuts), side.left.shape[1]), dtype=np.float32)
        for start, stop in cuts:
            self._strip(side, start, stop, best, near, buffer)
        del buffer
        hidden = near.bound >= kth(np.concatenate([best.scores, near.scores], axis=1), side.k)
        hidden &= np.isfinite(near.bound)
        for start, stop in cuts:
            again = np.flatnonzero(hidden & (side.lengths > start) & (side.lengths < stop))
            if len(again):
                part = self.top(side.take(again), start, stop, count=_NARROWER)
                near.scores[again], near.rows[again], near.bound[again] = part.scores, part.rows, part.bound
                near.rounding = max(near.rounding, part.rounding)
        best.merge(0, near.scores, near.rows, near.bound, near.rounding)
        return best

    def _strip(self, side: _Side, start: int, stop: int, best: Running, near: Running, buffer: F32) -> None:
        """Search a strip; lists of queries whose prefix ends inside it are bounds and go to ``near``."""
        first, half = np.searchsorted(side.lengths, [start, (start + stop) / 2], side="right").tolist()
        last, lam = int(np.searchsorted(side.lengths, stop)), np.float32(self.score.lam)
        # Whoever admits less than half of the strip takes all of it as penalised, the others as free.
        side.left[:half, -2], side.left[:half, -1], side.left[half:, -2:] = lam, -lam * side.free[:half], 0.0
        norms = self.prefixes.log_norms
        right = encode_rows(self.prefixes.strip(start, stop), norms[start:stop], self.score, out=buffer)
        rounding = encoded_rounding(self.engine, side.left, right)
        scores, rows, bound = listed(self.engine, side.left, right, self.m, start=start, rounding=rounding)
        for part in (slice(0, first), slice(last, None)):
            best.merge(part.start, scores[part], rows[part], bound[part], rounding)
        gain = lam * (norms[rows[first:last]] - side.free[first:last, None])
        excess = np.where(np.arange(first, last)[:, None] < half, np.maximum(gain, 0.0), np.maximum(-gain, 0.0))
        near.merge(first, scores[first:last] - excess, rows[first:last], bound[first:last], rounding)
