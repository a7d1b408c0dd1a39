"""The best of several lists, and a bound on everything that did not come into them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from asl.index.engines.protocol import Engine
from asl.types import F32, I64

_F64 = npt.NDArray[np.float64]


class TopLists:
    """The m best (score, row) of some queries so far, and a bound on everything that was left out.

    Attributes:
        scores: float32 ``[Q, m]`` approximate, -inf where there is none.
        rows: int64 ``[Q, m]``, -1 where there is none.
        bound: float64 ``[Q]``, -inf: nothing was left out.
        rounding: largest error of a score.
    """

    def __init__(self, count: int, m: int) -> None:
        self.scores = np.full((count, m), -np.inf, dtype=np.float32)
        self.rows = np.full((count, m), -1, dtype=np.int64)
        self.bound = np.full(count, -np.inf)
        self.rounding = 0.0

    def search(self, engine: Engine, left: F32, right: F32, *, start: int, rounding: float) -> None:
        """Take in what an engine finds of all queries among some references, whose first row is ``start``."""
        found = listed(engine, left, right, self.scores.shape[1], start=start, rounding=rounding)
        self.merge(np.arange(len(left)), *found, rounding)

    def merge(self, at: I64, scores: F32, rows: I64, left_out: _F64, rounding: float) -> None:
        """Take in one list each for some queries.

        Args:
            at: int64 ``[Q']`` which of them, each once.
            scores: float32 ``[Q', n]`` approximate scores, in any order; -inf counts as not there.
            rows: int64 ``[Q', n]``.
            left_out: float64 ``[Q']`` bound on what is not in a list.
            rounding: largest error of a score.
        """
        # What is dropped may come from an earlier list of larger error.
        rounding = self.rounding = max(rounding, self.rounding)
        self.bound[at] = np.maximum(self.bound[at], left_out)
        best = scores.max(axis=1)
        better = best > self.scores[at].min(axis=1)
        # A list that changes nothing only moves the bound; most of the later ones are such.
        out = at[~better]
        self.bound[out] = np.maximum(self.bound[out], best[~better].astype(np.float64) + rounding)
        self._take_in(at[better], scores[better], rows[better], rounding)

    def _take_in(self, at: I64, scores: F32, rows: I64, rounding: float) -> None:
        m = self.scores.shape[1]
        joined = np.concatenate([self.scores[at], scores], axis=1)
        places = np.concatenate([self.rows[at], rows], axis=1)
        order = np.argpartition(joined, -m, axis=1)
        keep, drop = order[:, -m:], order[:, :-m]
        dropped = (
            np.take_along_axis(joined, drop, axis=1).max(axis=1, initial=-np.inf).astype(np.float64)
        )
        self.bound[at] = np.maximum(self.bound[at], dropped + rounding)
        self.scores[at] = np.take_along_axis(joined, keep, axis=1)
        self.rows[at] = np.take_along_axis(places, keep, axis=1)

    def forget(self, at: I64, low: int, high: int) -> None:
        """Take the references low..high-1 out of some lists: they will be looked for again."""
        gone = (self.rows[at] >= low) & (self.rows[at] < high)
        self.scores[at] = np.where(gone, -np.inf, self.scores[at])
        self.rows[at] = np.where(gone, -1, self.rows[at])

    def drop_beyond(self, k: I64) -> None:
        """Leave out what cannot be among the k best (int64 ``[Q]``, at most m): exact scores cost more than these."""
        last = kth(self.scores, k).astype(np.float64)
        beyond = self.scores < (last - 4 * self.rounding)[:, None]
        dropped = np.where(beyond, self.scores, -np.inf).max(axis=1)
        self.bound = np.maximum(self.bound, dropped.astype(np.float64) + self.rounding)
        self.rows[beyond], self.scores[beyond] = -1, -np.inf


def listed(
    engine: Engine, left: F32, right: F32, m: int, *, start: int, rounding: float
) -> tuple[F32, I64, _F64]:
    """The m best of every query among references whose first row is ``start``: scores, rows, bounds on the others."""
    width = min(m, len(right))
    scores, rows = engine.top(left, right, width)
    bound = (
        np.full(len(left), -np.inf)
        if width == len(right)
        else scores[:, -1].astype(np.float64) + rounding
    )
    return scores, rows + start, bound


def kth(scores: F32, k: I64) -> F32:
    """float32 ``[Q]`` the k-th largest of each row, for int64 ``[Q]`` k of 1 to the number of columns."""
    falling = -np.sort(-scores, axis=1)
    last: F32 = np.take_along_axis(falling, k[:, None] - 1, axis=1)[:, 0]
    return last


def encoded_rounding(engine: Engine, left: F32, right: F32) -> float:
    """An engine's error for encoded vectors: that of unit vectors grows with what the last two dimensions add."""
    length = float(np.abs(left[:, -2:]).max() * np.abs(right[:, -2:]).max())
    return engine.rounding * (1.0 + 2.0 * length)
