"""FAISS brute force: on the CPU in place, or on every GPU that FAISS sees.

FAISS is loaded on use, after torch where this process uses torch.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np

from asl.counts import counted
from asl.index.engines.cpu_flags import cpu_flags
from asl.index.engines.faiss_gpu import GpuShards, merge_top, rows_in_order
from asl.index.engines.held_arrays import HeldArrays
from asl.index.engines.protocol import LIST_ENTRY_COST, ROUNDING
from asl.types import F32, I64, AslError

# Longest list that FAISS's GPU kernels return; longer ones are rare and are searched on the CPU.
LONGEST_GPU_LIST = 2048
_SKYLAKE_X = {"GenuineIntel", "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}
_CPU_ROWS = 65536  # held rows that are gathered for the CPU at once


def load_faiss() -> Any:
    """Import FAISS, after torch where this process already uses it.

    Raises:
        AslError: FAISS is not installed.
    """
    if "faiss" not in sys.modules and "torch" in sys.modules:
        import torch  # noqa: F401  # torch first: the other order hangs forked workers
    # Its loader reports every build that it tries.
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)
    try:
        with _kernels_of_newer_processors():
            import faiss
    except ImportError as error:
        raise AslError(
            f"faiss: cannot be imported: {error}; "
            "install it with `pip install faiss-gpu` (Linux) or `pip install faiss-cpu`"
        ) from error
    return faiss


@contextmanager
def _kernels_of_newer_processors() -> Iterator[None]:
    """Have FAISS's OpenBLAS take its AVX512 kernels on Intel processors that it does not know.

    Version 0.3.15, which FAISS 1.15's packages contain, takes those of SSE3 from Sapphire Rapids
    on, at a quarter of the speed. It reads the variable while it is loaded; a user's value stays.
    """
    name = "OPENBLAS_CORETYPE"
    if name in os.environ or not cpu_flags() >= _SKYLAKE_X:
        yield
        return
    os.environ[name] = "SkylakeX"
    try:
        yield
    finally:
        del os.environ[name]


@contextmanager
def _blas_blocks(settings: Any) -> Iterator[None]:
    """Make FAISS use matrix products of a useful size while a search runs.

    FAISS 1.15 compares up to 128,000 / D queries (500 at D = 256) one by one instead, which is
    several times slower; and wider blocks of references than its default give the product more to
    work on.
    """
    names = {"distance_compute_blas_threshold": 16, "distance_compute_blas_database_bs": 4096}
    before = {name: getattr(settings, name) for name in names}
    try:
        for name, value in names.items():
            setattr(settings, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(settings, name, value)


class FaissFlat:
    """Exact inner products by FAISS's brute-force kernels.

    On the CPU arrays are read in place. On GPUs :meth:`hold` fills flat indexes once, split over
    the GPUs; arrays that are not held are sent with each call.

    >>> references = np.eye(3, dtype=np.float32)
    >>> queries = np.array([[0.8, 0.6, 0.0]], dtype=np.float32)
    >>> FaissFlat(gpus=0).top(queries, references, 2)[1].tolist()
    [[0, 1]]
    """

    rounding = ROUNDING
    exact = True
    list_entry_cost = LIST_ENTRY_COST

    def __init__(self, *, gpus: int | None = None) -> None:
        """Choose where to search.

        Args:
            gpus: number of GPUs; 0 is the CPU, None takes every GPU that FAISS sees.

        Raises:
            AslError: FAISS is not installed, or sees fewer GPUs.
        """
        self._faiss = load_faiss()
        visible = self._faiss.get_num_gpus()
        if gpus is not None and gpus > visible:
            raise AslError(f"gpus: FAISS sees {counted(visible, 'GPU')}, got {gpus}; ask for fewer")
        self.gpus = visible if gpus is None else gpus
        self.on_device = self.gpus > 0
        self.name = f"faiss ({self.gpus} GPU)" if self.gpus else "faiss (CPU)"
        self._resources = [self._faiss.StandardGpuResources() for _ in range(self.gpus)]
        self._held: HeldArrays[GpuShards] = HeldArrays()
        self._gpu_lock = threading.Lock()  # GPU resources serve one thread at a time

    def hold(self, references: F32, order: I64 | None = None) -> _HeldOnGpus | None:
        """Fill the GPUs' indexes once; see :class:`asl.index.engines.protocol.Engine`.

        Earlier arrays are freed, the least recently used first, where the GPUs have no room.
        """
        if not self.gpus:
            return None
        with self._gpu_lock:
            shards = self._held.get(references, order)
            while shards is None:
                try:
                    shards = GpuShards.fill(self._faiss, self._resources, references, order)
                    self._held.put(references, order, shards)
                except RuntimeError:  # FAISS's error for a GPU that is full
                    if not self._held.drop_oldest():
                        return None
        return _HeldOnGpus(self, shards, references, order)

    def close(self) -> None:
        """Free what is held."""
        self._held.clear()

    def top(self, queries: F32, references: F32, m: int) -> tuple[F32, I64]:
        """Find the m largest inner products; see :class:`asl.index.engines.protocol.Engine`.

        An array that is held in its own order is not sent again.
        """
        if self.gpus and m <= LONGEST_GPU_LIST:
            run = self._held.find_run(references)
            if run is not None and len(references) == run[0].borders[-1]:
                return self.search_shards(run[0], queries, m, run[1], run[2])
            with self._gpu_lock:
                return self._send_and_search(queries, references, m)
        return self.search_on_cpu(queries, references, m)

    def search_on_cpu(self, queries: F32, references: F32, m: int) -> tuple[F32, I64]:
        """Search in place on the CPU, whatever the number of GPUs."""
        with _blas_blocks(self._faiss.cvar):
            scores, rows = self._faiss.knn(
                queries, references, m, metric=self._faiss.METRIC_INNER_PRODUCT
            )
        return scores, rows.astype(np.int64, copy=False)

    def search_shards(
        self, shards: GpuShards, queries: F32, m: int, low: int, high: int
    ) -> tuple[F32, I64]:
        """Search filled indexes; at most ``LONGEST_GPU_LIST`` neighbours."""
        with self._gpu_lock:
            return shards.top(queries, m, low=low, high=high)

    def _send_and_search(self, queries: F32, references: F32, m: int) -> tuple[F32, I64]:
        def on_one(device: int, low: int, high: int) -> tuple[F32, I64]:
            scores, rows = self._faiss.knn_gpu(
                self._resources[device],
                queries,
                references[low:high],
                min(m, high - low),
                device=device,
                metric=self._faiss.METRIC_INNER_PRODUCT,
            )
            return scores, rows + low

        bounds = np.linspace(0, len(references), self.gpus + 1).astype(int).tolist()
        shards = [
            (device, low, high) for device, (low, high) in enumerate(pairwise(bounds)) if high > low
        ]
        # A call waits for its GPU without Python's lock.
        with ThreadPoolExecutor(len(shards)) as pool:
            lists = list(pool.map(lambda shard: on_one(*shard), shards))
        return merge_top(lists, m)


class _HeldOnGpus:
    """References in an engine's GPU indexes, with the host array for lists too long for a GPU."""

    def __init__(
        self, engine: FaissFlat, shards: GpuShards, references: F32, order: I64 | None
    ) -> None:
        self._engine = engine
        self._shards = shards
        self._references = references
        self._order = order

    @property
    def borders(self) -> I64:
        """Rows at which the indexes begin and end."""
        return self._shards.borders

    def top(self, queries: F32, m: int, *, low: int, high: int) -> tuple[F32, I64]:
        """Search a range; see :class:`asl.index.engines.protocol.HeldReferences`."""
        if m <= LONGEST_GPU_LIST:
            return self._engine.search_shards(self._shards, queries, m, low, high)
        lists = []
        for start in range(low, high, _CPU_ROWS):
            stop = min(start + _CPU_ROWS, high)
            vectors = rows_in_order(self._references, self._order, start, stop)
            scores, rows = self._engine.search_on_cpu(queries, vectors, min(m, stop - start))
            lists.append((scores, rows + (start - low)))
        return merge_top(lists, m)
