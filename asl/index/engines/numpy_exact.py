"""Exact search in numpy: a matrix product and a partial sort, in blocks. The tests' oracle."""

from __future__ import annotations

import numpy as np

from asl.index.engines.protocol import LIST_ENTRY_COST, ROUNDING
from asl.types import F32, I64


class NumpyExact:
    """Search by blocked matrix products in numpy.

    >>> references = np.eye(3, dtype=np.float32)
    >>> queries = np.array([[0.8, 0.6, 0.0]], dtype=np.float32)
    >>> scores, rows = NumpyExact().top(queries, references, 2)
    >>> rows.tolist()
    [[0, 1]]
    """

    name = "exact (numpy)"
    rounding = ROUNDING
    exact = True
    list_entry_cost = LIST_ENTRY_COST
    on_device = False

    def __init__(self, *, query_block: int = 512, reference_block: int = 16384) -> None:
        """Set the number of queries and of references per matrix product."""
        self._query_block = query_block
        self._reference_block = reference_block

    def hold(self, references: F32, order: I64 | None = None) -> None:
        """Keep nothing: references are read in place."""

    def top(self, queries: F32, references: F32, m: int) -> tuple[F32, I64]:
        """Find the m largest inner products; see :class:`asl.index.engines.protocol.Engine`."""
        scores = np.empty((len(queries), m), dtype=np.float32)
        rows = np.empty((len(queries), m), dtype=np.int64)
        for start in range(0, len(queries), self._query_block):
            block = slice(start, start + self._query_block)
            scores[block], rows[block] = self._block_top(queries[block], references, m)
        return scores, rows

    def _block_top(self, queries: F32, references: F32, m: int) -> tuple[F32, I64]:
        scores = np.empty((len(queries), 0), dtype=np.float32)
        rows = np.empty((len(queries), 0), dtype=np.int64)
        for low in range(0, len(references), self._reference_block):
            products = queries @ references[low : low + self._reference_block].T
            columns = np.broadcast_to(np.arange(low, low + products.shape[1]), products.shape)
            scores = np.concatenate([scores, products], axis=1)
            rows = np.concatenate([rows, columns], axis=1)
            if scores.shape[1] > m:
                best = np.argpartition(-scores, m - 1, axis=1)[:, :m]
                scores = np.take_along_axis(scores, best, axis=1)
                rows = np.take_along_axis(rows, best, axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)
