"""Any number of references through an engine, a tile at a time, so that neither side has to fit in memory.

Every score is the cosine plus a gain that can only grow with the reference's log-norm (0 for ``cosine``). So inside a
tile the engine ranks by cosine, and no reference that it leaves out can score above the last cosine of its list plus
the gain of the tile's largest norm. ``soft`` is an inner product itself and is encoded tile by tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from asl.index.engine import Engine
from asl.scoring.score import Score, encode_queries, encode_rows, from_cosines
from asl.types import F32, I64, QueryEmbeddings, ReferenceEmbeddings

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
        self._worst = np.full(count, -np.inf, dtype=np.float32)
        self._rounding = 0.0

    def merge(self, part: slice, scores: F32, rows: I64, left_out: bool | _F64, rounding: float) -> None:
        """Take in one list per query.

        Args:
            part: which queries, from start to stop.
            scores: float32 ``[Q', n]`` approximate scores, in any order.
            rows: int64 ``[Q', n]``, -1 where there is none.
            left_out: whether the list is cut, so that its smallest score bounds the rest, or float64 ``[Q']`` that
                bound itself.
            rounding: largest error of a score.
        """
        # What is dropped may come from an earlier list of larger error.
        rounding = self._rounding = max(rounding, self._rounding)
        if isinstance(left_out, np.ndarray):
            self.bound[part] = np.maximum(self.bound[part], left_out)
        elif left_out:
            self.bound[part] = np.maximum(self.bound[part], scores.min(axis=1).astype(np.float64) + rounding)
        best = scores.max(axis=1)
        better = best > self._worst[part]
        # A list that changes nothing only moves the bound; most of the later ones are such.
        out = part.start + np.flatnonzero(~better)
        self.bound[out] = np.maximum(self.bound[out], best[~better].astype(np.float64) + rounding)
        self._take_in(part.start + np.flatnonzero(better), scores[better], rows[better], rounding)

    def merge_products(self, part: slice, products: F32, start: int, rounding: float) -> None:
        """Take in a block of inner products ``[Q', n]`` with the references from row ``start`` on (-inf: not there)."""
        rounding = self._rounding = max(rounding, self._rounding)
        worst = self._worst[part]
        query, column = np.nonzero(products > worst[:, None])
        counts = np.bincount(query, minlength=len(products))
        width = int(counts.max())
        if width > 4 * self.scores.shape[1]:  # lists are not full yet
            width = min(self.scores.shape[1], products.shape[1])
            rows = np.argpartition(products, -width, axis=1)[:, -width:]
            best = np.take_along_axis(products, rows, axis=1)
            rows = np.where(np.isneginf(best), -1, rows + start)
            self.merge(part, best, rows, width < products.shape[1], rounding)
            return
        limit = np.minimum(products.max(axis=1), worst).astype(np.float64) + rounding
        self.bound[part] = np.maximum(self.bound[part], limit)
        place = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
        scores = np.full((len(products), width), -np.inf, dtype=np.float32)
        rows = np.full((len(products), width), -1, dtype=np.int64)
        scores[query, place], rows[query, place] = products[query, column], column + start
        if width:
            self._take_in(np.arange(part.start, part.stop), scores, rows, rounding)

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
        self._worst[at] = self.scores[at].min(axis=1)


@dataclass(frozen=True, eq=False)
class Tiles:
    """References as an engine gets them.

    Attributes:
        references: R of them; their vectors may be memory-mapped.
        score: ``cosine``, ``soft`` or ``hinge``, without normalisation.
        engine: searches a tile.
        width: references in a tile.
    """

    references: ReferenceEmbeddings
    score: Score
    engine: Engine
    width: int

    def top(self, queries: QueryEmbeddings, rows: I64, m: int) -> tuple[I64, _F64]:
        """About the m best references of each query, and a bound on the score of every one left out.

        Args:
            queries: all queries.
            rows: int64 ``[Q']`` which of them.
            m: how many to fetch from a tile, and to keep.

        Returns:
            int64 ``[Q', m]`` rows of the references, -1 where there is none; float64 ``[Q']`` bounds, -inf: complete.
        """
        chosen = QueryEmbeddings(
            queries.ids[rows], np.ascontiguousarray(queries.vectors[rows]), queries.log_norms[rows]
        )
        soft = self.score.mode == "soft"
        left = encode_queries(chosen, self.score) if soft else chosen.vectors
        best = Running(len(rows), min(m, len(self.references)))
        # One buffer for all tiles: fresh memory costs more than what is written into it.
        buffer = np.empty((self.width if soft else 0, queries.dim + 2), dtype=np.float32)
        # Tiles of one size: a short last one would cost a call of its own for little.
        count = -(-len(self.references) // self.width)
        for low, high in pairwise(np.linspace(0, len(self.references), count + 1).astype(int).tolist()):
            part = slice(low, high)
            if soft:
                self._soft(left, part, m, best, buffer)
            else:
                self._gained(chosen, left, part, m, best)
        return best.rows, best.bound

    def _soft(self, left: F32, part: slice, m: int, best: Running, buffer: F32) -> None:
        norms = self.references.log_norms[part]
        right = encode_rows(self.references.vectors[part], norms, self.score, out=buffer)
        # The rounding of unit vectors grows with the length that the two extra dimensions add.
        length = float(np.abs(left[:, -2:]).max() * np.abs(right[:, -2:]).max())
        width = min(m, len(right))
        products, found = self.engine.top(left, right, width)
        rounding = self.engine.rounding * (1.0 + 2.0 * length)
        best.merge(slice(0, len(left)), products, found + part.start, width < len(right), rounding)

    def _gained(self, chosen: QueryEmbeddings, left: F32, part: slice, m: int, best: Running) -> None:
        norms = self.references.log_norms[part]
        width = min(m, len(norms))
        cosines, found = self.engine.top(left, np.ascontiguousarray(self.references.vectors[part]), width)
        own = chosen.log_norms[:, None]
        scores = from_cosines(cosines.astype(np.float64), own, norms[found], self.score).astype(np.float32)
        bound: bool | _F64 = False
        if width < len(norms):
            last = cosines[:, -1].astype(np.float64) + self.engine.rounding
            bound = from_cosines(last, chosen.log_norms, np.full(len(last), norms.max()), self.score)
        # Scores are float32: their own rounding counts where a gain is much larger than a cosine.
        largest = float(np.abs(scores, where=np.isfinite(scores), out=np.zeros_like(scores)).max())
        rounding = self.engine.rounding * max(1.0, largest)
        best.merge(slice(0, len(left)), scores, found + part.start, bound, rounding)
