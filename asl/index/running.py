"""The best of several lists, and a bound on everything that did not come into them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from asl.index.engine import Engine
from asl.types import F32, I64

_F64 = npt.NDArray[np.float64]


class Running:
    """The m best (score, row) of some queries so far, and a bound on everything that was left out.

    Attributes:
        scores: float32 ``[Q, m]``, -inf where there is none.
        rows: int64 ``[Q, m]``, -1 where there is none.
        bound: float64 ``[Q]``, -inf: nothing was left out.
    """

    def __init__(self, count: int, m: int) -> None:
        self.scores = np.full((count, m), -np.inf, dtype=np.float32)
        self.rows = np.full((count, m), -1, dtype=np.int64)
        self.bound = np.full(count, -np.inf)
        self._rounding = 0.0

    def search(
        self,
        engine: Engine,
        left: F32,
        right: F32,
        *,
        start: int,
        rounding: float,
        first: int = 0,
        ends: I64 | None = None,
    ) -> None:
        """Search some of the references, and take in what is found.

        Args:
            engine: gives the m best of every query.
            left: float32 ``[Q', D]`` the queries from ``first`` on.
            right: float32 ``[R', D]`` the references from row ``start`` on.
            start: see ``right``.
            rounding: largest error of a score.
            first: see ``left``.
            ends: int64 ``[Q']``, only references before this row count; None: all.
        """
        m = min(self.scores.shape[1], len(right))
        scores, rows = engine.top(left, right, m)
        bound = scores[:, -1].astype(np.float64) + rounding if m < len(right) else -np.inf
        rows = rows + start
        if ends is not None:
            scores = np.where(rows < ends[:, None], scores, np.float32(-np.inf))
        self.merge(first, scores, rows, bound, rounding)

    def merge(self, first: int, scores: F32, rows: I64, left_out: float | _F64, rounding: float) -> None:
        """Take in one list for every query from ``first`` on.

        Args:
            first: the first query.
            scores: float32 ``[Q', n]`` approximate scores, or upper bounds of them; -inf counts as not there.
            rows: int64 ``[Q', n]``.
            left_out: bound on what is not in a list, one number or ``[Q']``.
            rounding: largest error of a score.
        """
        # What is dropped may come from an earlier list of larger error.
        rounding = self._rounding = max(rounding, self._rounding)
        part = slice(first, None)
        self.bound[part] = np.maximum(self.bound[part], left_out)
        best = scores.max(axis=1)
        better = best > self.scores[part].min(axis=1)
        # A list that changes nothing only moves the bound; most of the later ones are such.
        out = first + np.flatnonzero(~better)
        self.bound[out] = np.maximum(self.bound[out], best[~better].astype(np.float64) + rounding)
        self._take_in(first + np.flatnonzero(better), scores[better], rows[better], rounding)

    def _take_in(self, at: I64, scores: F32, rows: I64, rounding: float) -> None:
        m = self.scores.shape[1]
        joined = np.concatenate([self.scores[at], scores], axis=1)
        places = np.concatenate([self.rows[at], rows], axis=1)
        order = np.argpartition(joined, -m, axis=1)
        keep, drop = order[:, -m:], order[:, :-m]
        dropped = np.take_along_axis(joined, drop, axis=1).max(axis=1, initial=-np.inf).astype(np.float64)
        self.bound[at] = np.maximum(self.bound[at], dropped + rounding)
        self.scores[at] = np.take_along_axis(joined, keep, axis=1)
        self.rows[at] = np.take_along_axis(places, keep, axis=1)


def encoded_rounding(engine: Engine, left: F32, right: F32) -> float:
    """An engine's error for encoded vectors: that of unit vectors grows with what the last two dimensions add."""
    length = float(np.abs(left[:, -2:]).max() * np.abs(right[:, -2:]).max())
    return engine.rounding * (1.0 + 2.0 * length)
