"""Exact inner products on tensor cores: 16-bit candidates, float32 ranking, a margin as proof.

FAISS's GPU flat search multiplies in float32 without tensor cores. Here unit vectors are rounded to
16 bits (relative error u per entry: 2^-11 for float16, 2^-8 for bfloat16), multiplied with float32
sums, and the product is rounded again. By the Cauchy-Schwarz inequality the product of two vectors
is then off by at most

    e = |q| |r| (3 u + 3 u^2 + 2 D 2^-23) + sqrt(D) 2^-23 (|q| + |r|)

where the last term is that of entries too small for float16's normal range, and 2 D 2^-23 is the
loss of D additions in float32, doubled because tensor cores truncate where processors round. A list
of the m best of n candidates is complete when its m-th float32 score is above the n-th 16-bit score
plus e; where it is not, n grows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from asl.index.engines.faiss_gpu import rows_in_order
from asl.index.engines.held_arrays import HeldArrays
from asl.index.engines.protocol import ROUNDING
from asl.types import F32, I64, AslError

_CANDIDATES_AT_ONCE = 2**26  # candidates of all queries together that are held at once
_GROUP = 64  # columns whose maximum stands for them: ranking the maxima is 64 times less work
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
        small: 16-bit ``[R, D']``, D' a multiple of 8.
        longest: largest norm of a row.
    """

    exact: Any
    small: Any
    longest: float


class TensorCore:
    """Brute force in 16-bit tiles with float32 re-ranking, on any torch device; it pays on CUDA."""

    rounding = ROUNDING
    exact = True
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
        # The margin counts one rounding to 16 bits: partial sums of a product that is split must
        # stay float32. For the whole process and for good, as a change back would meet searches in
        # other threads.
        matmul = torch.backends.cuda.matmul
        matmul.allow_fp16_reduced_precision_reduction = False
        matmul.allow_bf16_reduced_precision_reduction = False
        matmul.allow_fp16_accumulation = False
        self._torch = torch
        self._device = torch.device(device)
        self._dtype = getattr(torch, dtype)
        self._unit = 2.0**-11 if dtype == "float16" else 2.0**-8
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
        return _DeviceCopy(exact, self._small(exact), float(exact.norm(dim=1).max()))

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
            exact, small = copy.exact[low:high], copy.small[low:high]
            scores = np.empty((len(queries), m), dtype=np.float32)
            rows = np.empty((len(queries), m), dtype=np.int64)
            for start in range(0, len(queries), self._block):
                block = torch.tensor(queries[start : start + self._block], device=self._device)
                best, places = self._exact(block, exact, small, m, copy.longest)
                scores[start : start + len(block)] = best.cpu().numpy()
                rows[start : start + len(block)] = places.cpu().numpy()
        return scores, rows

    def margin(self, query_norm: float, reference_norm: float, dim: int) -> float:
        """Return the largest error of a 16-bit product of vectors of these norms."""
        relative: float = 3 * self._unit + 3 * self._unit**2 + 2 * dim * 2.0**-23
        subnormal: float = dim**0.5 * 2.0**-23
        product = query_norm * reference_norm * relative
        return product + subnormal * (query_norm + reference_norm)

    def _exact(
        self, queries: Any, references: Any, small: Any, m: int, longest: float
    ) -> tuple[Any, Any]:
        torch = self._torch
        count = len(references)
        margin = self.margin(float(queries.norm(dim=1).max()), longest, references.shape[1])
        scores = torch.empty((len(queries), m), device=self._device)
        rows = torch.empty((len(queries), m), dtype=torch.int64, device=self._device)
        pending = torch.arange(len(queries), device=self._device)
        n = min(count, m + max(16, m // 2))
        while len(pending):
            unsure = []
            # Where many references are nearly one (blank images), n grows to all of them: then a
            # few queries at a time.
            for part in pending.split(max(1, _CANDIDATES_AT_ONCE // n)):
                rough, candidates = self._candidates(self._small(queries[part]), small, n)
                best, order = self._ranked(queries[part], references, candidates).topk(m, dim=1)
                sure = (best[:, -1] >= rough.min(dim=1).values.float() + margin) | (n == count)
                scores[part[sure]] = best[sure]
                rows[part[sure]] = candidates.gather(1, order)[sure]
                unsure.append(part[~sure])
            pending, n = torch.cat(unsure), min(count, 4 * n)
        return scores, rows

    def _small(self, vectors: Any) -> Any:
        """Convert to 16 bits, padded to a multiple of 8 dimensions: others are slower."""
        return self._torch.nn.functional.pad(vectors.to(self._dtype), (0, -vectors.shape[1] % 8))

    def _candidates(self, queries: Any, small: Any, n: int) -> tuple[Any, Any]:
        """Return the n largest 16-bit products of each query and their rows, in any order."""
        torch = self._torch
        best = torch.empty((len(queries), 0), dtype=self._dtype, device=self._device)
        rows = torch.empty((len(queries), 0), dtype=torch.int64, device=self._device)
        for low, tile in self._tiles(small):
            values, columns = self._tile_top(queries @ tile.T, n)
            best = torch.cat([best, values], dim=1)
            rows = torch.cat([rows, columns + low], dim=1)
            if best.shape[1] > n:
                best, order = best.topk(n, dim=1, sorted=False)
                rows = rows.gather(1, order)
        return best, rows

    def _tiles(self, small: Any) -> Iterator[tuple[int, Any]]:
        for low in range(0, len(small), self._width):
            yield low, small[low : low + self._width]

    def _tile_top(self, products: Any, n: int) -> tuple[Any, Any]:
        """Return each row's top n: only groups with one of the n largest maxima can hold them."""
        width = products.shape[1]
        groups = width // _GROUP
        if groups <= 2 * n:
            values, columns = products.topk(min(n, width), dim=1, sorted=False)
            return values, columns
        whole = products[:, : groups * _GROUP].unflatten(1, (groups, _GROUP))
        chosen = whole.amax(dim=2).topk(n, dim=1, sorted=False).indices
        inside = self._torch.arange(_GROUP, device=self._device)
        columns = (chosen[:, :, None] * _GROUP + inside).flatten(1)
        if width % _GROUP:
            rest = self._torch.arange(groups * _GROUP, width, device=self._device)
            columns = self._torch.cat([columns, rest.expand(len(products), -1)], dim=1)
        values, order = products.gather(1, columns).topk(n, dim=1, sorted=False)
        return values, columns.gather(1, order)

    def _ranked(self, queries: Any, references: Any, candidates: Any) -> Any:
        """Return float32 ``[Q, n]`` products of each query with its candidates."""
        products = self._torch.empty(candidates.shape, device=self._device)
        step = max(1, 2**25 // (candidates.shape[1] * references.shape[1]))
        for start in range(0, len(queries), step):
            part = slice(start, start + step)
            # No matrix product: a training process may have set those to 10 bits
            # (set_float32_matmul_precision).
            products[part] = (queries[part, None, :] * references[candidates[part]]).sum(dim=2)
        return products


class _HeldOnDevice:
    """References that a tensor-core engine keeps on its device; any range of rows is searchable."""

    borders = None

    def __init__(self, engine: TensorCore, copy: _DeviceCopy) -> None:
        self._engine = engine
        self._copy = copy

    def top(self, queries: F32, m: int, *, low: int, high: int) -> tuple[F32, I64]:
        """Search a range; see :class:`asl.index.engines.protocol.HeldReferences`."""
        return self._engine.search_copy(self._copy, queries, m, low=low, high=high)
