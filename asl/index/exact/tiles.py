"""Search any number of references a tile at a time, so that they need not fit in memory."""

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
    """References in tiles, in the form that an engine searches.

    Attributes:
        references: R references; their vectors may be memory-mapped.
        score: ``cosine`` or ``soft``, without normalisation: the scores that are inner products.
        engine: searches a tile.
        width: references in a tile.
    """

    references: ReferenceEmbeddings
    score: Score
    engine: Engine
    width: int

    def top(self, queries: QueryEmbeddings, rows: I64, m: int) -> TopLists:
        """Find the m best references of some queries, and bound the score of all others.

        Args:
            queries: all queries.
            rows: int64 ``[Q']`` the queries to search for.
            m: list length.

        >>> from asl.index.engines.numpy_exact import NumpyExact
        >>> features = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
        >>> references = ReferenceEmbeddings.from_features(["a", "b", "c"], features)
        >>> tiles = Tiles(references, Score("cosine"), NumpyExact(), width=2)
        >>> query = QueryEmbeddings.from_features(["q"], [[0.0, 2.0]])
        >>> tiles.top(query, np.array([0]), 1).rows.tolist()
        [[1]]
        """
        encodes = self.score.mode == "soft"
        vectors = (
            encode_queries(queries.take(rows), self.score) if encodes else queries.vectors[rows]
        )
        best = TopLists(len(rows), min(m, len(self.references)))
        # One buffer for all tiles: fresh memory costs more than filling it.
        buffer = np.empty((self.width if encodes else 0, queries.dim + 2), dtype=np.float32)
        # Tiles of one size: a short last one would cost a call of its own for little.
        count = -(-len(self.references) // self.width)
        cuts = np.linspace(0, len(self.references), count + 1).astype(int).tolist()
        for low, high in pairwise(cuts):
            tile = np.ascontiguousarray(self.references.vectors[low:high])
            rounding = self.engine.rounding
            if encodes:
                log_norms = self.references.log_norms[low:high]
                tile = encode_rows(tile, log_norms, self.score, out=buffer)
                rounding = encoded_rounding(self.engine, vectors, tile)
            best.search(self.engine, vectors, tile, start=low, rounding=rounding)
        return best
