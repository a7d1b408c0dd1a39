"""Exact inner products on the tensor cores of one GPU.

FAISS's GPU flat search multiplies in float32 without tensor cores. Here vectors are multiplied in
16 bits, and :mod:`asl.index.engines.half_products` makes the lists exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from asl.index.engines.faiss_gpu import rows_in_order
from asl.index.engines.half_products import HalfProducts, rounded
from asl.index.engines.held_arrays import HeldArrays
from asl.index.engines.protocol import LIST_ENTRY_COST, ROUNDING
from asl.types import F32, I64, AslError

_BYTES_PER_NUMBER = 6  # of a held reference: float32 and 16 bits


def cuda_devices() -> int:
    """Return the number of GPUs that torch can use."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


@dataclass(frozen=True, eq=False)
class _DeviceCopy:
    """References on the device.

    Attributes:
        exact: float32 ``[R, D]``.
        small: 16-bit ``[R, D']``.
        norms: float32 ``[R]``, of the rows.
        lost: float32 ``[R]``, what each row lost by rounding.
    """

    exact: Any
    small: Any
    norms: Any
    lost: Any


class TensorCore:
    """Brute force by 16-bit products of references that are held on a GPU.

    Any torch device works; on a CPU it pays only for tests.
    """

    rounding = ROUNDING
    exact = True
    list_entry_cost = LIST_ENTRY_COST
    on_device = True

    def __init__(
        self, *, device: str = "cuda", dtype: str = "float16", block: int = 4096, width: int = 65536
    ) -> None:
        """Choose the device and the tiles.

        Args:
            device: torch device.
            dtype: ``float16`` or ``bfloat16``.
            block: queries of a tile.
            width: references of a tile.

        Raises:
            AslError: another dtype, or there is no CUDA device.
        """
        import torch

        if dtype not in ("float16", "bfloat16"):
            raise AslError(
                f"tensorcore: dtype must be float16 or bfloat16, got {dtype!r}; use one of these"
            )
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise AslError("tensorcore: torch finds no CUDA device; use engine=faiss")
        # The bounds count one rounding to 16 bits: partial sums of a product that is split must
        # stay float32. For the whole process and for good, as a change back would meet searches in
        # other threads.
        matmul = torch.backends.cuda.matmul
        matmul.allow_fp16_reduced_precision_reduction = False
        matmul.allow_bf16_reduced_precision_reduction = False
        matmul.allow_fp16_accumulation = False
        self._torch = torch
        self._device = torch.device(device)
        self._dtype = getattr(torch, dtype)
        self._block = block
        self._width = width
        self._held: HeldArrays[_DeviceCopy] = HeldArrays()
        self.name = f"tensorcore ({device}, {dtype})"

    def hold(self, references: F32, order: I64 | None = None) -> _HeldOnDevice | None:
        """Copy references to the device once; see :class:`asl.index.engines.protocol.Engine`.

        Earlier arrays are freed, the least recently used first, where the device has no room.
        """
        copy = self._held.get(references, order)
        if copy is None:
            while _BYTES_PER_NUMBER * references.size > self._room():
                if not self._held.drop_oldest():
                    return None
            with self._torch.inference_mode():
                copy = self._sent(references, order)
            self._held.put(references, order, copy)
        return _HeldOnDevice(self, copy)

    def close(self) -> None:
        """Free what is held."""
        self._held.clear()

    def _room(self) -> float:
        """Return the bytes that references may take; the rest is for products and lists."""
        if self._device.type != "cuda":
            return float("inf")
        cuda = self._torch.cuda
        reserved, allocated = (
            cuda.memory_reserved(self._device),
            cuda.memory_allocated(self._device),
        )
        free = cuda.mem_get_info(self._device)[0] + reserved - allocated
        return 0.6 * float(free)

    def _sent(self, references: F32, order: I64 | None = None) -> _DeviceCopy:
        exact = self._torch.empty(references.shape, device=self._device)
        for low in range(0, len(references), self._width):  # whole maps are never in memory
            high = min(low + self._width, len(references))
            # A copy: torch warns about memory that it may not write, such as that of a read-only
            # map.
            exact[low:high] = self._torch.tensor(rows_in_order(references, order, low, high))
        small, lost = rounded(exact, self._dtype)
        return _DeviceCopy(exact, small, exact.norm(dim=1), lost)

    def top(self, queries: F32, references: F32, m: int) -> tuple[F32, I64]:
        """Find the m largest inner products; see :class:`asl.index.engines.protocol.Engine`.

        A run of rows of a held array is not sent again; other references have to fit the device.
        """
        run = self._held.find_run(references)
        if run is not None:
            return self.search_copy(run[0], queries, m, low=run[1], high=run[2])
        with self._torch.inference_mode():
            copy = self._sent(references)
        return self.search_copy(copy, queries, m, low=0, high=len(references))

    def search_copy(
        self, copy: _DeviceCopy, queries: F32, m: int, *, low: int, high: int
    ) -> tuple[F32, I64]:
        """Search the rows low..high-1 of a device copy; returned rows are counted from ``low``."""
        torch = self._torch
        with torch.inference_mode():
            exact = copy.exact[low:high]
            scores = np.empty((len(queries), m), dtype=np.float32)
            rows = np.empty((len(queries), m), dtype=np.int64)
            for start in range(0, len(queries), self._block):
                block = torch.tensor(queries[start : start + self._block], device=self._device)
                search = HalfProducts(block, self._dtype, exact.__getitem__, m, block=self._block)
                for first in range(low, high, self._width):
                    tile = slice(first, min(first + self._width, high))
                    norm, lost = copy.norms[tile].max(), copy.lost[tile].max()
                    search.add(first - low, copy.small[tile], norm, lost)
                best, places = search.result()
                scores[start : start + len(block)] = best.cpu().numpy()
                rows[start : start + len(block)] = places.cpu().numpy()
        return scores, rows


class _HeldOnDevice:
    """References that a tensor-core engine keeps on its device; any range of rows is searchable."""

    borders = None

    def __init__(self, engine: TensorCore, copy: _DeviceCopy) -> None:
        self._engine = engine
        self._copy = copy

    def top(self, queries: F32, m: int, *, low: int, high: int) -> tuple[F32, I64]:
        """Search a range; see :class:`asl.index.engines.protocol.HeldReferences`."""
        return self._engine.search_copy(self._copy, queries, m, low=low, high=high)
