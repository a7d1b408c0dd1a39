"""Top-m lists of many queries, with a bound on everything that they leave out."""

from __future__ import annotations

import numpy as np

from asl.index.engines.protocol import Engine
from asl.types import F32, F64, I64


class TopLists:
    """The m best (score, row) of each query so far, and a bound on the score of all others.

    Attributes:
        scores: float32 ``[Q, m]`` approximate, -inf for an empty place.
        rows: int64 ``[Q, m]``, -1 for an empty place.
        bound: float64 ``[Q]``, -inf: nothing was left out.
        rounding: largest error of a score.

    >>> from asl.index.engines.numpy_exact import NumpyExact
    >>> best = TopLists(1, 1)
    >>> query, references = np.float32([[1.0]]), np.float32([[0.25], [0.75], [0.5]])
    >>> best.search(NumpyExact(), query, references[:2], start=0, rounding=0.0)
    >>> best.search(NumpyExact(), query, references[2:], start=2, rounding=0.0)
    >>> best.rows.tolist(), best.bound.tolist()
    ([[1]], [0.75])
    """

    def __init__(self, count: int, m: int) -> None:
        self.scores = np.full((count, m), -np.inf, dtype=np.float32)
        self.rows = np.full((count, m), -1, dtype=np.int64)
        self.bound = np.full(count, -np.inf)
        self.rounding = 0.0

    def search(
        self, engine: Engine, queries: F32, references: F32, *, start: int, rounding: float
    ) -> None:
        """Search one block of references (starting at row ``start``) and merge the results.

        Args:
            engine: searches the block.
            queries: float32 ``[Q, D]``, all of these lists' queries.
            references: float32 ``[n, D]``.
            start: row of the block's first reference.
            rounding: largest error of a score.
        """
        width = min(self.scores.shape[1], len(references))
        scores, rows = engine.top(queries, references, width)
        bound = bound_of_list(scores, width, len(references), rounding=rounding)
        self.merge(np.arange(len(queries)), scores, rows + start, bound, rounding)

    def merge(self, at: I64, scores: F32, rows: I64, bound: F64, rounding: float) -> None:
        """Merge one more list for each of some queries.

        Args:
            at: int64 ``[Q']`` the queries, each once.
            scores: float32 ``[Q', n]`` approximate scores, in any order; -inf marks no entry.
            rows: int64 ``[Q', n]``.
            bound: float64 ``[Q']`` bound on the scores of all that a list leaves out.
            rounding: largest error of a score.
        """
        # An entry that is dropped may come from an earlier list of larger error.
        rounding = self.rounding = max(rounding, self.rounding)
        self.bound[at] = np.maximum(self.bound[at], bound)
        best = scores.max(axis=1)
        better = best > self.scores[at].min(axis=1)
        # A list without a better entry only raises the bound; most of the later ones are such.
        unchanged = at[~better]
        highest = best[~better].astype(np.float64) + rounding
        self.bound[unchanged] = np.maximum(self.bound[unchanged], highest)
        self._keep_best(at[better], scores[better], rows[better], rounding)

    def _keep_best(self, at: I64, scores: F32, rows: I64, rounding: float) -> None:
        m = self.scores.shape[1]
        all_scores = np.concatenate([self.scores[at], scores], axis=1)
        all_rows = np.concatenate([self.rows[at], rows], axis=1)
        order = np.argpartition(all_scores, -m, axis=1)
        keep, drop = order[:, -m:], order[:, :-m]
        dropped = np.take_along_axis(all_scores, drop, axis=1).max(axis=1, initial=-np.inf)
        self.bound[at] = np.maximum(self.bound[at], dropped.astype(np.float64) + rounding)
        self.scores[at] = np.take_along_axis(all_scores, keep, axis=1)
        self.rows[at] = np.take_along_axis(all_rows, keep, axis=1)

    def forget(self, at: I64, low: int, high: int) -> None:
        """Remove the references low..high-1 from some lists, before they are searched again."""
        within = (self.rows[at] >= low) & (self.rows[at] < high)
        self.scores[at] = np.where(within, -np.inf, self.scores[at])
        self.rows[at] = np.where(within, -1, self.rows[at])

    def drop_beyond(self, k: I64) -> None:
        """Drop entries that cannot be among the k best: exact scores cost more than these.

        Args:
            k: int64 ``[Q]``, at most m.
        """
        kth_score = kth(self.scores, k).astype(np.float64)
        beyond = self.scores < (kth_score - 4 * self.rounding)[:, None]
        dropped = np.where(beyond, self.scores, -np.inf).max(axis=1)
        self.bound = np.maximum(self.bound, dropped.astype(np.float64) + self.rounding)
        self.rows[beyond] = -1
        self.scores[beyond] = -np.inf


def bound_of_list(scores: F32, width: int, count: int, *, rounding: float) -> F64:
    """Bound the scores of the references that a list of ``width`` out of ``count`` leaves out.

    Args:
        scores: float32 ``[Q, width]``, descending.
        width: length of a list.
        count: references that were searched.
        rounding: largest error of a score.

    Returns:
        float64 ``[Q]``; -inf where the list holds all references.

    >>> scores = np.array([[0.75, 0.5]], dtype=np.float32)
    >>> bound_of_list(scores, 2, 100, rounding=0.25).tolist()
    [0.75]
    >>> bound_of_list(scores, 2, 2, rounding=0.25).tolist()
    [-inf]
    """
    if width == count:
        return np.full(len(scores), -np.inf)
    bound: F64 = scores[:, -1].astype(np.float64) + rounding
    return bound


def kth(scores: F32, k: I64) -> F32:
    """Return float32 ``[Q]``, the k-th largest of each row.

    Args:
        scores: float32 ``[Q, m]``.
        k: int64 ``[Q]``, from 1 to m.

    >>> kth(np.array([[0.1, 0.9, 0.5]], dtype=np.float32), np.array([2])).tolist()
    [0.5]
    """
    falling = -np.sort(-scores, axis=1)
    values: F32 = np.take_along_axis(falling, k[:, None] - 1, axis=1)[:, 0]
    return values


def encoded_rounding(engine: Engine, queries: F32, references: F32) -> float:
    """Return an engine's largest error for vectors encoded in D + 2 dimensions.

    The error for unit vectors grows with the products of the last two dimensions.

    >>> from asl.index.engines.numpy_exact import NumpyExact
    >>> query, reference = np.float32([[1.0, 0.0, 2.0]]), np.float32([[1.0, 0.5, 1.0]])
    >>> encoded_rounding(NumpyExact(), query, reference) / NumpyExact.rounding
    5.0
    """
    added = float(np.abs(queries[:, -2:]).max() * np.abs(references[:, -2:]).max())
    return engine.rounding * (1.0 + 2.0 * added)
