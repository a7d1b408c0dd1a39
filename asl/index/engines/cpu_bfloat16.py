"""Exact inner products on a CPU that multiplies in bfloat16, in about half of FAISS's time.

References are read in place and rounded a tile at a time, which
:mod:`asl.index.engines.half_products` makes exact. Small searches go to FAISS.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np

from asl.index.engines.cpu_flags import cpu_flags
from asl.index.engines.faiss_flat import FaissFlat
from asl.index.engines.faiss_gpu import rows_in_order
from asl.index.engines.half_products import Gain, HalfProducts, padded
from asl.index.engines.norm_gain import NormGain
from asl.index.engines.protocol import LIST_ENTRY_COST, ROUNDING
from asl.types import F32, I64

_BLOCK = 2048  # queries of a product
_WIDTH = 4096  # references of a product, which then stays in the cache until it has been read
# Multiplications from which a search is worth its fixed cost, and from which it is worth importing
# torch (seconds) in a process that has not.
_LEAST_WORK = 2**32
_LEAST_WORK_TO_IMPORT = 2**41


@cache
def multiplies_bfloat16() -> bool:
    """Report whether the CPU has instructions for products of bfloat16 (AVX512_BF16 or AMX)."""
    return not cpu_flags().isdisjoint({"avx512_bf16", "amx_bf16"})


class CpuBfloat16:
    """Brute force in bfloat16 tiles with float32 ranking; arrays are read in place.

    >>> references = np.eye(3, dtype=np.float32)
    >>> queries = np.array([[0.8, 0.6, 0.0]], dtype=np.float32)
    >>> CpuBfloat16(least_work=0).top(queries, references, 2)[1].tolist()
    [[0, 1]]
    """

    name = "bfloat16 (CPU)"
    rounding = ROUNDING
    exact = True
    list_entry_cost = LIST_ENTRY_COST  # strips are cut for FAISS
    on_device = False

    def __init__(self, *, least_work: int | None = None, width: int = _WIDTH) -> None:
        """Choose the tiles.

        Args:
            least_work: multiplications Q R D from which bfloat16 is used, FAISS below; None: where
                it is quicker.
            width: references of a product.
        """
        self._least_work = least_work
        self._width = width
        self._faiss = FaissFlat(gpus=0)

    def hold(self, references: F32, order: I64 | None = None) -> None:
        """Hold nothing: references are read in place."""

    def top(self, queries: F32, references: F32, m: int) -> tuple[F32, I64]:
        """Find the m largest inner products; see :class:`asl.index.engines.protocol.Engine`."""
        if not self._pays(queries, references):
            return self._faiss.top(queries, references, m)
        return self._search(queries, references, m, None, None)

    def top_scores(
        self, queries: F32, references: F32, m: int, gain: NormGain
    ) -> tuple[F32, I64] | None:
        """Rank by scores; see :class:`asl.index.engines.norm_gain.ScoringEngine`."""
        if not self._pays(queries, references):
            return None
        return self._search(queries, references, m, gain.order, gain.on_tensors())

    def _pays(self, queries: F32, references: F32) -> bool:
        least = self._least_work
        if least is None:
            least = _LEAST_WORK if "torch" in sys.modules else _LEAST_WORK_TO_IMPORT
        return len(queries) * references.size >= least

    def _search(
        self, queries: F32, references: F32, m: int, order: I64 | None, gain: Gain | None
    ) -> tuple[F32, I64]:
        """Search references in an order, a tile at a time."""
        import torch

        def fetch(rows: Any) -> Any:
            places = rows.numpy()
            return torch.from_numpy(references[places if order is None else order[places]])

        with torch.inference_mode():
            search = HalfProducts(
                _tensor(queries), torch.bfloat16, fetch, m, block=_BLOCK, gain=gain
            )
            for low in range(0, len(references), self._width):
                high = min(low + self._width, len(references))
                tile = _tensor(rows_in_order(references, order, low, high))
                norm = tile.norm(dim=1).max()
                # What rounding may cost at most; to measure it takes longer than it saves.
                search.add(low, padded(tile.to(torch.bfloat16)), norm, 2.0**-8 * norm)
            scores, rows = search.result()
        return np.asarray(scores), np.asarray(rows)


def _tensor(array: F32) -> Any:
    """Return an array as a tensor, in place where torch allows it: not in a read-only map."""
    import torch

    return torch.from_numpy(array) if array.flags.writeable else torch.tensor(array)
