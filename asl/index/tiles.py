"""Any number of references through an engine, a tile at a time, so that neither side has to fit in memory.

Every score is the cosine plus a gain that can only grow with the reference's log-norm (0 for ``cosine``). So inside a
tile the engine ranks by cosine, and no reference that it leaves out can score above the last cosine of its list plus
the gain of the tile's largest norm. ``soft`` is an inner product itself and is encoded tile by tile.
"""

from __future__ import annotations

from dataclasses import dataclass

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

    def merge(self, part: slice, scores: F32, rows: I64, left_out: bool | _F64, rounding: float) -> None:
        """Take in one list per query.

        Args:
            part: which queries.
            scores: float32 ``[Q', n]`` approximate scores, in any order.
            rows: int64 ``[Q', n]``, -1 where there is none.
            left_out: whether the list is cut, so that its smallest score bounds the rest, or float64 ``[Q']`` that
                bound itself.
            rounding: largest error of a score.
        """
        m = self.scores.shape[1]
        if isinstance(left_out, np.ndarray):
            self.bound[part] = np.maximum(self.bound[part], left_out)
        elif left_out:
            self.bound[part] = np.maximum(self.bound[part], scores.min(axis=1).astype(np.float64) + rounding)
        joined = np.concatenate([self.scores[part], scores], axis=1)
        places = np.concatenate([self.rows[part], rows], axis=1)
        order = np.argpartition(joined, -m, axis=1)
        keep, drop = order[:, -m:], order[:, :-m]
        dropped = np.take_along_axis(joined, drop, axis=1).max(axis=1).astype(np.float64)
        self.bound[part] = np.maximum(self.bound[part], dropped + rounding)
        self.scores[part] = np.take_along_axis(joined, keep, axis=1)
        self.rows[part] = np.take_along_axis(places, keep, axis=1)


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
        for low in range(0, len(self.references), self.width):
            part = slice(low, min(low + self.width, len(self.references)))
            (self._soft if soft else self._gained)(chosen, left, part, m, best)
        return best.rows, best.bound

    def _soft(self, chosen: QueryEmbeddings, left: F32, part: slice, m: int, best: Running) -> None:
        norms = self.references.log_norms[part]
        right = encode_rows(self.references.vectors[part], norms, self.score)
        # The rounding of unit vectors grows with the length that the two extra dimensions add.
        length = float(np.abs(left[:, chosen.dim :]).max() * np.abs(right[:, chosen.dim :]).max())
        width = min(m, len(right))
        products, found = self.engine.top(left, right, width)
        rounding = self.engine.rounding * (1.0 + 2.0 * length)
        best.merge(slice(None), products, found + part.start, width < len(right), rounding)

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
        rounding = self.engine.rounding * max(1.0, float(np.abs(scores).max()))
        best.merge(slice(None), scores, found + part.start, bound, rounding)
