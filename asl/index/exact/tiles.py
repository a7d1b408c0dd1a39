"""Any number of references through an engine, a tile at a time, so that they need not fit in memory."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from asl.index.engines.protocol import Engine
from asl.index.exact.top_lists import TopLists, encoded_rounding
from asl.scoring.score import Score, encode_queries, encode_rows
from asl.types import I64, QueryEmbeddings, ReferenceEmbeddings


@dataclass(frozen=True, eq=False)
class Tiles:
    """References as an engine gets them.

    Attributes:
        references: R of them; their vectors may be memory-mapped.
        score: ``cosine`` or ``soft``, without normalisation: the inner products.
        engine: searches a tile.
        width: references in a tile.
    """

    references: ReferenceEmbeddings
    score: Score
    engine: Engine
    width: int

    def top(self, queries: QueryEmbeddings, rows: I64, m: int) -> TopLists:
        """The m best references of each query, and a bound on the score of every one left out.

        Args:
            queries: all queries.
            rows: int64 ``[Q']`` which of them.
            m: how many.
        """
        soft = self.score.mode == "soft"
        left = encode_queries(queries.take(rows), self.score) if soft else queries.vectors[rows]
        best = TopLists(len(rows), min(m, len(self.references)))
        # One buffer for all tiles: fresh memory costs more than what is written into it.
        buffer = np.empty((self.width if soft else 0, queries.dim + 2), dtype=np.float32)
        # Tiles of one size: a short last one would cost a call of its own for little.
        count = -(-len(self.references) // self.width)
        for low, high in pairwise(
            np.linspace(0, len(self.references), count + 1).astype(int).tolist()
        ):
            right, rounding = (
                np.ascontiguousarray(self.references.vectors[low:high]),
                self.engine.rounding,
            )
            if soft:
                right = encode_rows(
                    right, self.references.log_norms[low:high], self.score, out=buffer
                )
                rounding = encoded_rounding(self.engine, left, right)
            best.search(self.engine, left, right, start=low, rounding=rounding)
        return best
