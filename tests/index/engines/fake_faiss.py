"""A stand-in with FAISS's names that counts the rows that are sent; its products are numpy's."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from asl.index.engines.numpy_exact import NumpyExact


@dataclass
class FakeFaiss:
    """GPUs with room for ``room`` rows each."""

    gpus: int
    room: int = 10**9
    sent: list[tuple[int, int]] = field(default_factory=list)  # (device, rows)
    on_cpu: int = 0
    used: dict[int, int] = field(default_factory=dict)
    METRIC_INNER_PRODUCT: int = 0

    def __post_init__(self) -> None:
        self.cvar = SimpleNamespace(
            distance_compute_blas_threshold=0, distance_compute_blas_database_bs=0
        )
        self.StandardGpuResources = object
        self.GpuIndexFlatConfig = SimpleNamespace

    def get_num_gpus(self) -> int:
        return self.gpus

    def GpuIndexFlatIP(self, _: Any, dim: int, config: Any) -> FakeIndex:
        assert config.use_cuvs is False, "the certificate counts the rounding of FAISS's kernels"
        return FakeIndex(self, dim, config.device)

    def take(self, device: int, rows: int) -> None:
        used = self.used.get(device, 0) + rows
        if used > self.room:
            raise RuntimeError("cudaMalloc error out of memory")
        self.used[device] = used
        self.sent.append((device, rows))

    def knn(self, queries: Any, references: Any, m: int, *, metric: int) -> Any:
        self.on_cpu += len(references)
        return NumpyExact().top(queries, references, m)

    def knn_gpu(
        self, _: Any, queries: Any, references: Any, m: int, *, device: int, metric: int
    ) -> Any:
        self.sent.append((device, len(references)))
        return NumpyExact().top(queries, references, m)


class FakeIndex:
    def __init__(self, faiss: FakeFaiss, dim: int, device: int) -> None:
        self.faiss, self.device = faiss, device
        self.vectors = np.empty((0, dim), dtype=np.float32)

    @property
    def ntotal(self) -> int:
        return len(self.vectors)

    def add(self, vectors: Any) -> None:
        assert vectors.flags.c_contiguous
        self.faiss.take(self.device, len(vectors))
        self.vectors = np.concatenate([self.vectors, vectors])

    def search(self, queries: Any, m: int) -> Any:
        assert 1 <= m <= 2048, "the kernels return no longer lists"
        assert m <= self.ntotal
        return NumpyExact().top(queries, self.vectors, m)

    def __del__(self) -> None:
        self.faiss.used[self.device] -= len(self.vectors)
