"""Exact inner products on a CPU that multiplies in bfloat16, in about half of FAISS's time.

References are read in place and rounded a tile at a time, which
:mod:`asl.index.engines.half_products` makes exact. Small searches go to FAISS.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from asl.index.engines.faiss_flat import FaissFlat
from asl.index.engines.half_products import HalfProducts
from asl.index.engines.protocol import ROUNDING
from asl.types import F32, I64

_BLOCK = 2048  # queries of a product
_WIDTH = 16384  # references of a product
# Multiplications from which a search is worth its fixed cost, and from which it is worth importing
# torch (seconds) in a process that has not.
_LEAST_WORK = 2**32
_LEAST_WORK_TO_IMPORT = 2**41


@cache
def multiplies_bfloat16() -> bool:
    """Report whether the CPU has instructions for products of bfloat16 (AVX512_BF16 or AMX)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


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
    list_entry_cost = 800_000  # of these cheap multiplications; measured on two cores
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
        least = self._least_work
        if least is None:
            least = _LEAST_WORK if "torch" in sys.modules else _LEAST_WORK_TO_IMPORT
        if len(queries) * references.size < least:
            return self._faiss.top(queries, references, m)
        import torch
        from torch.nn.functional import pad

        def fetch(rows: Any) -> Any:
            return torch.from_numpy(references[rows.numpy()])

        with torch.inference_mode():
            search = HalfProducts(_tensor(queries), torch.bfloat16, fetch, m, block=_BLOCK)
            for low in range(0, len(references), self._width):
                tile = _tensor(references[low : low + self._width])
                norm = tile.norm(dim=1).max()
                # What rounding may cost at most; to measure it takes longer than it saves.
                small = pad(tile.to(torch.bfloat16), (0, -tile.shape[1] % 8))
                search.add(low, small, norm, 2.0**-8 * norm)
            scores, rows = search.result()
        return np.asarray(scores), np.asarray(rows)


def _tensor(array: F32) -> Any:
    """Return an array as a tensor, in place where torch allows it: not in a read-only map."""
    import torch

    return torch.from_numpy(array) if array.flags.writeable else torch.tensor(array)
