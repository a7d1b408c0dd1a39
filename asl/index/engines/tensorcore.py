"""Exact inner products on tensor cores: 16-bit products find candidates, float32 ranks them, a margin proves the list.

FAISS's GPU flat search multiplies in float32 without tensor cores. Here unit vectors are rounded to
16 bits (relative
error u per entry: 2^-11 for float16, 2^-8 for bfloat16), multiplied with float32 sums, and the
product is rounded again. By Cauchy and Schwarz the product of two vectors is then off by at most

    e = |q| |r| (3 u + 3 u^2 + 2 D 2^-23) + sqrt(D) 2^-23 (|q| + |r|)

where the last term is that of entries too small for float16's normal range, and 2 D 2^-23 is what D
additions in float32 may lose, twice over because tensor cores cut off where processors round. A
list of the m best of n candidates is complete when its m-th float32 score is above the n-th 16-bit
score plus e; where it is not, n grows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from asl.index.engines.protocol import ROUNDING
from asl.types import F32, I64, AslError

_LISTED = 2**26  # candidates of all queries together that are held at once
_GROUP = 64  # columns whose maximum stands for them: ranking the maxima is 64 times less work


def cuda_devices() -> int:
    """How many GPUs torch can use."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


@dataclass(frozen=True, eq=False)
class _Held:
    """References on the device: as float32, in 16 bits, and their largest length."""

    host: F32
    right: Any
    small: Any
    longest: float

    def rows(self, references: F32) -> tuple[int, int] | None:
        """Which rows of what is held these are, by where they lie in memory; None: others."""
        width = self.host.strides[0]
        low, rest = divmod(references.ctypes.data - self.host.ctypes.data, width)
        if (
            references.strides != self.host.strides
            or references.shape[1:] != self.host.shape[1:]
            or rest
        ):
            return None
        return (
            (low, low + len(references)) if 0 <= low <= len(self.host) - len(references) else None
        )


class TensorCore:
    """Brute force in 16-bit tiles with float32 re-ranking. Runs on any torch device; it pays on CUDA."""

    rounding = ROUNDING
    exact = True

    def __init__(
        self, *, device: str = "cuda", dtype: str = "float16", block: int = 4096, width: int = 65536
    ) -> None:
        """Choose the device, ``float16`` or ``bfloat16``, and the queries and references of a tile."""
        import torch

        if dtype not in ("float16", "bfloat16"):
            raise AslError(f"tensorcore: dtype must be float16 or bfloat16, got {dtype!r}")
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise AslError("tensorcore: no CUDA device; use engine=faiss")
        # The margin counts one rounding to 16 bits: partial sums of a product that is split must
        # stay float32. For the whole process and for good, as a change back would meet searches in
        # other threads.
        matmul = torch.backends.cuda.matmul
        matmul.allow_fp16_reduced_precision_reduction = (
            matmul.allow_bf16_reduced_precision_reduction
        ) = False
        matmul.allow_fp16_accumulation = False
        self._torch, self._device, self._dtype = torch, torch.device(device), getattr(torch, dtype)
        self._unit = 2.0**-11 if dtype == "float16" else 2.0**-8
        self._block, self._width = block, width
        self._held: _Held | None = None
        self.name = f"tensorcore ({device}, {dtype})"

    def hold(self, references: F32 | None) -> None:
        """Keep references on the device, so that searches of them or of a run of their rows send nothing again.

        Args:
            references: float32 ``[R, D]`` contiguous; must not be written while the engine is used.
                Where the device has no room for all of them, each search sends what it needs. None:
                nothing is kept.
        """
        if (
            self._held is None
            or references is None
            or self._held.rows(references) != (0, len(references))
        ):
            self._held = None  # before its successor needs the room
            if references is not None and 6 * references.size <= self._room():
                with self._torch.inference_mode():
                    self._held = self._sent(references)

    def _room(self) -> float:
        """Bytes that references may take: what is left over is for tiles of products and lists."""
        if self._device.type != "cuda":
            return float("inf")
        cuda = self._torch.cuda
        unused = cuda.memory_reserved(self._device) - cuda.memory_allocated(
            self._device
        )  # by torch
        return 0.6 * float(cuda.mem_get_info(self._device)[0] + unused)

    def _sent(self, references: F32) -> _Held:
        right = self._torch.empty(references.shape, device=self._device)
        for low in range(0, len(references), self._width):  # whole maps are never in memory
            # A copy: torch warns about memory that it may not write, such as that of a read-only
            # map.
            right[low : low + self._width] = self._torch.tensor(references[low : low + self._width])
        return _Held(references, right, self._small(right), float(right.norm(dim=1).max()))

    def top(self, queries: F32, references: F32, m: int) -> tuple[F32, I64]:
        """See :class:`asl.index.engines.protocol.Engine`; the references have to fit the device."""
        torch = self._torch
        with torch.inference_mode():
            kept = self._held  # read once: another thread may hold others meanwhile
            there = kept.rows(references) if kept else None
            held = kept if kept and there else self._sent(references)
            low, high = there or (0, len(references))
            right, small, longest = held.right[low:high], held.small[low:high], held.longest
            scores = np.empty((len(queries), m), dtype=np.float32)
            rows = np.empty((len(queries), m), dtype=np.int64)
            for start in range(0, len(queries), self._block):
                left = torch.tensor(queries[start : start + self._block], device=self._device)
                best, places = self._exact(left, right, small, m, longest)
                scores[start : start + len(left)] = best.cpu().numpy()
                rows[start : start + len(left)] = places.cpu().numpy()
        return scores, rows

    def margin(self, left: float, right: float, dim: int) -> float:
        """Largest error of a 16-bit product of vectors of these lengths."""
        share: float = 3 * self._unit + 3 * self._unit**2 + 2 * dim * 2.0**-23
        tiny: float = dim**0.5 * 2.0**-23
        return left * right * share + tiny * (left + right)

    def _exact(self, left: Any, right: Any, small: Any, m: int, longest: float) -> tuple[Any, Any]:
        torch, count = self._torch, len(right)
        margin = self.margin(float(left.norm(dim=1).max()), longest, right.shape[1])
        scores = torch.empty((len(left), m), device=self._device)
        rows = torch.empty((len(left), m), dtype=torch.int64, device=self._device)
        pending, n = torch.arange(len(left), device=self._device), min(count, m + max(16, m // 2))
        while len(pending):
            unsure = []
            # Where many references are nearly one (blank images), n grows to all of them: then a
            # few queries at a time.
            for part in pending.split(max(1, _LISTED // n)):
                rough, found = self._candidates(self._small(left[part]), small, n)
                best, order = self._ranked(left[part], right, found).topk(m, dim=1)
                sure = (best[:, -1] >= rough.min(dim=1).values.float() + margin) | (n == count)
                scores[part[sure]] = best[sure]
                rows[part[sure]] = found.gather(1, order)[sure]
                unsure.append(part[~sure])
            pending, n = torch.cat(unsure), min(count, 4 * n)
        return scores, rows

    def _small(self, vectors: Any) -> Any:
        """In 16 bits, with zeros up to a multiple of 8 dimensions: others (D + 2 of ``soft``) are slower."""
        return self._torch.nn.functional.pad(vectors.to(self._dtype), (0, -vectors.shape[1] % 8))

    def _candidates(self, left: Any, small: Any, n: int) -> tuple[Any, Any]:
        """The n largest 16-bit products of each query and their rows, in any order."""
        torch = self._torch
        best = torch.empty((len(left), 0), dtype=self._dtype, device=self._device)
        rows = torch.empty((len(left), 0), dtype=torch.int64, device=self._device)
        for low, tile in self._tiles(small):
            values, here = self._tile_top(left @ tile.T, n)
            best, rows = torch.cat([best, values], dim=1), torch.cat([rows, here + low], dim=1)
            if best.shape[1] > n:
                best, order = best.topk(n, dim=1, sorted=False)
                rows = rows.gather(1, order)
        return best, rows

    def _tiles(self, small: Any) -> Iterator[tuple[int, Any]]:
        for low in range(0, len(small), self._width):
            yield low, small[low : low + self._width]

    def _tile_top(self, products: Any, n: int) -> tuple[Any, Any]:
        """Top n of each row: only groups whose maximum is among the n largest maxima can hold them."""
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
            rest = self._torch.arange(groups * _GROUP, width, device=self._device).expand(
                len(products), -1
            )
            columns = self._torch.cat([columns, rest], dim=1)
        values, order = products.gather(1, columns).topk(n, dim=1, sorted=False)
        return values, columns.gather(1, order)

    def _ranked(self, left: Any, right: Any, found: Any) -> Any:
        """float32 products ``[Q, n]`` of each query with its candidates."""
        fine = self._torch.empty(found.shape, device=self._device)
        step = max(1, 2**25 // (found.shape[1] * right.shape[1]))
        for start in range(0, len(left), step):
            part = slice(start, start + step)
            # No matrix product: a training process may have set those to 10 bits
            # (set_float32_matmul_precision).
            fine[part] = (left[part, None, :] * right[found[part]]).sum(dim=2)
        return fine
