"""What an engine has to do: the m largest inner products of each query. Everything directional stands on top."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from asl.types import F32, I64

# Largest difference between an engine's float32 inner product of unit vectors and the float64 one:
# sums of a few thousand products of float32 stay well below it.
ROUNDING = 4e-6


class Engine(Protocol):
    """Inner-product search over fixed vectors.

    Attributes:
        name: for people and result files, with the device (``faiss (CPU)``).
        rounding: largest error of a returned inner product of unit vectors.
        exact: nothing that belongs to the m largest is missing; else no list is certified.
    """

    name: str
    rounding: float
    exact: bool

    def top(self, queries: F32, references: F32, m: int) -> tuple[F32, I64]:
        """The m references with the largest inner products.

        Args:
            queries: float32 ``[Q, D]`` contiguous.
            references: float32 ``[R, D]`` contiguous, R >= m >= 1.
            m: how many.

        Returns:
            float32 ``[Q, m]`` inner products, descending, and int64 ``[Q, m]`` rows of the
            references.
        """
        ...


class NumpyExact:
    """Numpy: a matrix product and a partial sort, in blocks. The oracle for the others."""

    name = "exact (numpy)"
    rounding = ROUNDING
    exact = True

    def __init__(self, *, block: int = 512, width: int = 16384) -> None:
        """Set the block sizes: queries and references per matrix product."""
        self._block, self._width = block, width

    def top(self, queries: F32, references: F32, m: int) -> tuple[F32, I64]:
        """See :class:`Engine`."""
        scores = np.empty((len(queries), m), dtype=np.float32)
        rows = np.empty((len(queries), m), dtype=np.int64)
        for start in range(0, len(queries), self._block):
            part = slice(start, start + self._block)
            scores[part], rows[part] = self._block_top(queries[part], references, m)
        return scores, rows

    def _block_top(self, queries: F32, references: F32, m: int) -> tuple[F32, I64]:
        best = np.empty((len(queries), 0), dtype=np.float32)
        rows = np.empty((len(queries), 0), dtype=np.int64)
        for low in range(0, len(references), self._width):
            products = queries @ references[low : low + self._width].T
            here = np.broadcast_to(np.arange(low, low + products.shape[1]), products.shape)
            best, rows = (
                np.concatenate([best, products], axis=1),
                np.concatenate([rows, here], axis=1),
            )
            if best.shape[1] > m:
                keep = np.argpartition(-best, m - 1, axis=1)[:, :m]
                best, rows = (
                    np.take_along_axis(best, keep, axis=1),
                    np.take_along_axis(rows, keep, axis=1),
                )
        order = np.argsort(-best, axis=1, kind="stable")
        return np.take_along_axis(best, order, axis=1), np.take_along_axis(rows, order, axis=1)
