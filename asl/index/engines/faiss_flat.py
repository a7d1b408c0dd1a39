"""FAISS: brute force on the CPU, or on every GPU that it sees. Loaded on use; torch goes first where it is loaded."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np

from asl.index.engines.protocol import ROUNDING
from asl.types import F32, I64, AslError

MOST_ON_GPU = (
    2048  # neighbours that FAISS's GPU kernels can return; wider lists are rare and go to the CPU
)


def load_faiss() -> Any:
    """Import FAISS, after torch where torch is installed and this process already uses it.

    Raises:
        AslError: it is not installed; the message says what to install.
    """
    if "faiss" not in sys.modules and "torch" in sys.modules:
        import torch  # noqa: F401  # torch first: the other order hangs forked workers
    # Its loader reports every build that it tries.
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)
    try:
        import faiss
    except ImportError as error:
        raise AslError(
            "faiss is not installed: `pip install faiss-gpu` (Linux) or `faiss-cpu`"
        ) from error
    return faiss


@contextmanager
def _blas_blocks(settings: Any) -> Iterator[None]:
    """Matrix products of a useful size while a search runs.

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
    """Exact inner products by FAISS's own brute-force kernels; no index is built, the arrays are read in place."""

    rounding = ROUNDING
    exact = True

    def __init__(self, *, gpus: int | None = None) -> None:
        """Choose where to run: ``gpus`` = 0 is the CPU, None takes every GPU there is."""
        self._faiss = load_faiss()
        found = self._faiss.get_num_gpus()
        if gpus is not None and gpus > found:
            raise AslError(f"faiss: {gpus} GPU(s) asked for, {found} found")
        self.gpus = found if gpus is None else gpus
        self.name = f"faiss ({self.gpus} GPU)" if self.gpus else "faiss (CPU)"
        self._resources = [self._faiss.StandardGpuResources() for _ in range(self.gpus)]

    def top(self, queries: F32, references: F32, m: int) -> tuple[F32, I64]:
        """See :class:`asl.index.engines.protocol.Engine`."""
        if not self.gpus or m > MOST_ON_GPU:
            with _blas_blocks(self._faiss.cvar):
                scores, rows = self._faiss.knn(
                    queries, references, m, metric=self._faiss.METRIC_INNER_PRODUCT
                )
            return scores, rows.astype(np.int64, copy=False)
        return self._on_gpus(queries, references, m)

    def _on_gpus(self, queries: F32, references: F32, m: int) -> tuple[F32, I64]:
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
        with ThreadPoolExecutor(
            len(shards)
        ) as pool:  # a call waits for its GPU, without Python's lock
            parts = list(pool.map(lambda shard: on_one(*shard), shards))
        return merge_top(parts, m)


def merge_top(parts: list[tuple[F32, I64]], m: int) -> tuple[F32, I64]:
    """The m best of several lists of (scores ``[Q, m_i]``, rows ``[Q, m_i]``), descending."""
    scores = np.concatenate([part[0] for part in parts], axis=1)
    rows = np.concatenate([part[1] for part in parts], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :m]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(
        rows, order, axis=1
    ).astype(np.int64)
