"""Any index that FAISS builds from a factory string, for collections too large for brute force.

``IVF4096,SQ8``, ``HNSW32``, ``OPQ32,IVF4096,PQ32`` ...: the index retrieves candidates, which are
scored again like those of any engine, so scores and their order are right. A reference that it
misses is lost: the list is not exact and carries no certificate. Measure the loss with
:mod:`asl.index.exact.measured_recall`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from asl.counts import counted
from asl.index.engines.faiss_flat import LONGEST_GPU_LIST, load_faiss
from asl.index.engines.protocol import LIST_ENTRY_COST, ROUNDING
from asl.index.file_seal import check_seal, seal
from asl.shared_defaults import NPROBE
from asl.storage import atomic_path, printable_name
from asl.types import F32, I64, AslError, UsageError

# Divisible by the usual numbers of sub-quantisers (PQ80, PQ96 ...): only the spelling is checked.
_SPELLING_CHECK_DIM = 3840
_CHECKED_BYTES = 2**26  # size up to which a file is always compared with its checksum
_REBUILD = "remove it, and it is built again"
_TRAINING_VECTORS = 2**18  # vectors that an index is trained on, at most


class FaissFactoryIndex:
    """Candidates from a FAISS index, built on the first search and kept for the next.

    >>> vectors = np.eye(8, dtype=np.float32)
    >>> FaissFactoryIndex("HNSW4").top(vectors[:1], vectors, 1)[1].tolist()
    [[0]]
    """

    rounding = ROUNDING
    exact = False
    list_entry_cost = LIST_ENTRY_COST
    on_device = False

    def __init__(
        self,
        spec: str,
        *,
        nprobe: int = NPROBE,
        cache: Path | None = None,
        check_files: bool = False,
    ) -> None:
        """Choose an index.

        Args:
            spec: FAISS factory string, for inner products.
            nprobe: inverted lists searched per query (also ``efSearch`` = 4 x of HNSW).
            cache: file that keeps the built index; memory-mapped where it exists.
            check_files: compare the file with its checksum, however large it is; one of an
                earlier version, without a checksum, is refused.

        Raises:
            UsageError: FAISS cannot parse ``spec``, or ``nprobe`` is below 1.
        """
        self._faiss = load_faiss()
        if nprobe < 1:
            raise UsageError(f"nprobe: must be 1 or more, got {nprobe}; give a larger number")
        try:
            self._faiss.index_factory(_SPELLING_CHECK_DIM, spec, self._faiss.METRIC_INNER_PRODUCT)
        except RuntimeError as error:
            raise UsageError(
                f"factory: FAISS cannot build {spec!r} ({_reason(error)}); "
                "use a string of its index_factory, e.g. IVF4096,Flat"
            ) from error
        self._spec = spec
        self._nprobe = nprobe
        self._cache = cache
        self._check_files = check_files
        self._references: F32 | None = None
        self._index: Any = None
        self._on_gpu = False
        self.name = f"faiss {spec}, approximate"

    def hold(self, references: F32, order: I64 | None = None) -> None:
        """Keep nothing ahead of a search: the first search builds the index."""

    def top(self, queries: F32, references: F32, m: int) -> tuple[F32, I64]:
        """Retrieve up to m candidates; see :class:`asl.index.engines.protocol.Engine`.

        Rows of queries with fewer candidates end with -1, their scores with -inf.
        """
        if not self._is_built_from(references):
            self._index = self._opened(references)
            self._references = references
        width = min(m, LONGEST_GPU_LIST) if self._on_gpu else m
        scores, rows = self._index.search(queries, width)
        rows = rows.astype(np.int64, copy=False)
        rows = np.pad(rows, ((0, 0), (0, m - width)), constant_values=-1)
        scores = np.pad(scores, ((0, 0), (0, m - width)))
        return np.where(rows >= 0, scores, -np.inf).astype(np.float32), rows

    def _is_built_from(self, references: F32) -> bool:
        """Report whether this very array was indexed; it is kept, so no other has its address."""
        indexed = self._references
        return (
            indexed is not None
            and indexed.shape == references.shape
            and indexed.ctypes.data == references.ctypes.data
        )

    def _opened(self, references: F32) -> Any:
        if self._cache is not None and printable_name(str(self._cache)) != str(self._cache):
            raise AslError(
                f"{self._cache}: FAISS opens no file whose path is not UTF-8; rename the folder"
            )
        if self._cache is not None and self._cache.exists():
            return self._tuned(self._read(self._cache, references.shape))
        index = self._built(references)
        if self._cache is not None:
            with atomic_path(self._cache) as temporary:
                self._faiss.write_index(index, str(temporary))
                seal(temporary)
        return self._tuned(index)

    def _read(self, file: Path, shape: tuple[int, ...]) -> Any:
        if self._check_files or file.stat().st_size <= _CHECKED_BYTES:
            check_seal(file, remedy=_REBUILD, required=self._check_files)
        try:
            index = self._faiss.read_index(str(file), self._faiss.IO_FLAG_MMAP)
        except RuntimeError as error:
            raise AslError(f"{file}: is no FAISS index, or damaged; {_REBUILD}") from error
        if (index.ntotal, index.d) != shape:
            raise AslError(
                f"{file}: must hold {counted(shape[0], 'vector')} of {shape[1]} dimensions: "
                f"holds {index.ntotal} of {index.d}; {_REBUILD}"
            )
        return index

    def _built(self, references: F32) -> Any:
        step = -(-len(references) // _TRAINING_VECTORS)
        try:
            index = self._faiss.index_factory(
                references.shape[1], self._spec, self._faiss.METRIC_INNER_PRODUCT
            )
            if not index.is_trained:
                index.train(np.ascontiguousarray(references[::step]))
            index.add(references)
        except RuntimeError as error:
            raise AslError(
                f"factory: {self._spec!r} cannot hold {counted(len(references), 'vector')} "
                f"({_reason(error)}); use another index or more references"
            ) from error
        return index

    def _tuned(self, index: Any) -> Any:
        # An index without the parameter refuses it; one with neither is searched as it is.
        for name, value in (("nprobe", self._nprobe), ("efSearch", 4 * self._nprobe)):
            try:
                self._faiss.ParameterSpace().set_index_parameter(index, name, value)
            except RuntimeError:
                continue
        if self._faiss.get_num_gpus() and self._nprobe <= LONGEST_GPU_LIST:
            options = self._faiss.GpuMultipleClonerOptions()
            options.shard = True
            options.useFloat16 = True
            try:
                index = self._faiss.index_cpu_to_all_gpus(index, options)
                self._on_gpu = True
            except RuntimeError:  # HNSW and others have no GPU form
                self._on_gpu = False
        return index


def _reason(error: RuntimeError) -> str:
    """Return FAISS's message without the place in its source."""
    return str(error).strip().splitlines()[-1].rsplit(": ", 1)[-1][:160]
