"""Any index that FAISS can build from a factory string, for collections that are too large to compare with all of.

``IVF4096,SQ8``, ``HNSW32``, ``OPQ32,IVF4096,PQ32`` ...: it proposes candidates, which are scored
again like those of any engine, so scores and their order are right. What it does not propose is
lost: the list is not exact, and no certificate is asked for. How much is lost has to be measured
(:mod:`asl.index.exact.recall`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from asl.index.engines.faiss_flat import MOST_ON_GPU, load_faiss
from asl.index.engines.protocol import ROUNDING
from asl.types import F32, I64, AslError, UsageError

# divisible by what strings divide by (PQ80, PQ96 ...): only the spelling is checked with it
_ANY_DIM = 3840
_TRAIN = 2**18  # vectors that an index is trained on at most


class FaissFactoryIndex:
    """Candidates from a FAISS index; built on the first search, kept for the next."""

    rounding = ROUNDING
    exact = False

    def __init__(self, spec: str, *, nprobe: int = 16, cache: Path | None = None) -> None:
        """Choose an index.

        Args:
            spec: FAISS factory string, for inner products.
            nprobe: lists of an inverted file that a query looks into (also ``efSearch`` = 4 x of
                HNSW).
            cache: file that keeps the built index; read memory-mapped when it is there.

        Raises:
            UsageError: FAISS knows no such index.
        """
        self._faiss = load_faiss()
        if nprobe < 1:
            raise UsageError(f"nprobe: must be 1 or more, got {nprobe}")
        try:
            self._faiss.index_factory(_ANY_DIM, spec, self._faiss.METRIC_INNER_PRODUCT)
        except RuntimeError as error:
            reason = _reason(error)
            raise UsageError(f"factory: FAISS cannot build {spec!r} ({reason})") from error
        self._spec, self._nprobe, self._cache = spec, nprobe, cache
        self._of: F32 | None = None
        self._index: Any = None
        self._on_gpu = False
        self.name = f"faiss {spec}, approximate"

    def top(self, queries: F32, references: F32, m: int) -> tuple[F32, I64]:
        """See :class:`asl.index.engines.protocol.Engine`; where fewer than m are proposed, rows end with -1 and -inf."""
        if not self._is_of(references):
            self._index, self._of = self._opened(references), references
        wide = min(m, MOST_ON_GPU) if self._on_gpu else m
        scores, rows = self._index.search(queries, wide)
        rows = np.pad(
            rows.astype(np.int64, copy=False), ((0, 0), (0, m - wide)), constant_values=-1
        )
        scores = np.pad(scores, ((0, 0), (0, m - wide)))
        return np.where(rows >= 0, scores, -np.inf).astype(np.float32), rows

    def _is_of(self, references: F32) -> bool:
        """Whether the index was built from this very array; it is held, so its memory cannot be another's."""
        of = self._of
        return (
            of is not None
            and of.shape == references.shape
            and of.ctypes.data == references.ctypes.data
        )

    def _opened(self, references: F32) -> Any:
        if self._cache is not None and self._cache.exists():
            try:
                index = self._faiss.read_index(str(self._cache), self._faiss.IO_FLAG_MMAP)
            except RuntimeError as error:
                raise AslError(
                    f"{self._cache}: is no FAISS index, or damaged; remove it, it is built anew"
                ) from error
            if (index.ntotal, index.d) != references.shape:
                raise AslError(
                    f"{self._cache}: holds {index.ntotal} vectors of {index.d} dimensions; remove it"
                )
            return self._tuned(index)
        index = self._built(references)
        if self._cache is not None:
            temporary = self._cache.with_name(f".{self._cache.name}.{os.getpid()}.part")
            try:
                self._faiss.write_index(index, str(temporary))
                temporary.replace(self._cache)
            finally:
                temporary.unlink(missing_ok=True)
        return self._tuned(index)

    def _built(self, references: F32) -> Any:
        step = -(-len(references) // _TRAIN)
        try:
            index = self._faiss.index_factory(
                references.shape[1], self._spec, self._faiss.METRIC_INNER_PRODUCT
            )
            if not index.is_trained:
                index.train(np.ascontiguousarray(references[::step]))
            index.add(references)
        except RuntimeError as error:
            reason = _reason(error)
            raise AslError(
                f"factory: {self._spec!r} cannot hold these {len(references)} vectors ({reason})"
            ) from error
        return index

    def _tuned(self, index: Any) -> Any:
        # An index of another kind refuses the parameter; what has neither is searched as it is.
        for name, value in (("nprobe", self._nprobe), ("efSearch", 4 * self._nprobe)):
            try:
                self._faiss.ParameterSpace().set_index_parameter(index, name, value)
            except RuntimeError:
                continue
        if self._faiss.get_num_gpus() and self._nprobe <= MOST_ON_GPU:
            options = self._faiss.GpuMultipleClonerOptions()
            options.shard, options.useFloat16 = True, True
            try:
                index, self._on_gpu = self._faiss.index_cpu_to_all_gpus(index, options), True
            except RuntimeError:  # HNSW and others have no GPU form
                self._on_gpu = False
        return index


def _reason(error: RuntimeError) -> str:
    """What FAISS says, without where in its source it says so."""
    return str(error).strip().splitlines()[-1].rsplit(": ", 1)[-1][:160]
