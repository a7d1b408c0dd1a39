"""An index on disk: references that come and go, sorted once for every search, memory-mapped when they are used.

::

    index.json                  format, model, dimensions, count, and which generation is the
    present one 00000003.vectors.npy        float32 [R, D] unit rows, sorted by falling log-norm
    (equal ones by id) 00000003.log_norms.npy      float32 [R]
    00000003.ids.npy            unicode [R]

A change writes a new generation beside the old one, then ``index.json`` is replaced in one step:
killed at any moment, the index is as before or as after. A search that still reads the old
generation goes on undisturbed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from asl.storage import ReadError, atomic_binary, read_json, read_npy, write_json
from asl.types import (
    F32,
    I64,
    AslError,
    Embeddings,
    ReferenceEmbeddings,
    StrArray,
    UsageError,
    as_ids,
)

FORMAT = "asl-index-1"
_KEYS = {"model", "dim", "count", "generation"}
_REBUILD = "build the index again"
_BLOCK = 65536  # rows that are written at once
_OWN = re.compile(r"\d{8}\.\w+\.(npy|faiss)")  # files of a generation


class Rows(Protocol):
    """Some references whose vectors are read when they are written: a piece of a feature store, for one.

    Attributes:
        ids: ``[n]``.
        log_norms: float32 ``[n]``.
        dim: D.
    """

    @property
    def ids(self) -> StrArray: ...  # noqa: D102

    @property
    def log_norms(self) -> F32: ...  # noqa: D102

    @property
    def dim(self) -> int: ...  # noqa: D102

    def units(self, rows: I64) -> F32:
        """float32 ``[m, D]`` unit vectors of some of them."""
        ...


@dataclass(frozen=True)
class SavedIndex:
    """An index on disk.

    Attributes:
        path: its folder.
        manifest: what ``index.json`` says.
    """

    path: Path
    manifest: dict[str, Any]

    @staticmethod
    def is_index(path: str | Path) -> bool:
        """Whether a folder is an index."""
        return (Path(path) / "index.json").is_file()

    @classmethod
    def create(
        cls,
        path: str | Path,
        references: Embeddings | Iterable[Rows],
        *,
        model: str = "",
        fast_decode: bool = False,
    ) -> SavedIndex:
        """Write an index; one that is there is replaced.

        Args:
            path: folder.
            references: R of them, at least one; as pieces they need not fit in memory.
            model: hash of the model that made the features.
            fast_decode: whether large JPEGs were decoded at a fraction of their size for them.

        Raises:
            UsageError: the folder holds something else.
            AslError: no references, or an id that stands twice.
        """
        parts = [references] if isinstance(references, Embeddings) else list(references)
        if not parts:
            raise AslError(f"{path}: an index holds at least one reference")
        folder = Path(path)
        before = cls.open(folder).manifest["generation"] if cls.is_index(folder) else 0
        folder.mkdir(parents=True, exist_ok=True)
        # A first writing that was killed has left files of a generation, or hidden ones.
        foreign = [
            file.name
            for file in folder.iterdir()
            if not _OWN.fullmatch(file.name) and file.name[0] != "."
        ]
        if foreign and not cls.is_index(folder):
            raise UsageError(
                f"index: {folder} holds other files ({min(foreign)}); choose a folder of its own"
            )
        facts = {"format": FORMAT, "model": model, "fast_decode": fast_decode, "dim": parts[0].dim}
        return cls(folder, {**facts, "count": 0, "generation": before})._rewritten(parts)

    @classmethod
    def open(cls, path: str | Path) -> SavedIndex:
        """Open an index.

        Raises:
            AslError: there is none, or it is broken or of another format.
        """
        folder = Path(path)
        if not cls.is_index(folder):
            raise AslError(f"{folder}: not an index (it has no index.json); make one first")
        manifest = read_json(folder / "index.json", remedy=_REBUILD)
        if manifest.get("format") != FORMAT:
            raise AslError(f"{folder}: is no index of this version (expected format {FORMAT!r})")
        missing = _KEYS - manifest.keys()
        if missing:
            raise ReadError(
                f"{folder}/index.json: damaged (lacks {', '.join(sorted(missing))}); {_REBUILD}"
            )
        return cls(folder, manifest)

    def __len__(self) -> int:
        return int(self.manifest["count"])

    @property
    def ids(self) -> StrArray:
        """``[R]`` ids, by falling log-norm."""
        ids: StrArray = self._load("ids", self.manifest["generation"])
        return ids

    def references(self) -> ReferenceEmbeddings:
        """The references, their vectors memory-mapped.

        Raises:
            AslError: a file is missing, damaged, or not what ``index.json`` says.
        """
        generation = self.manifest["generation"]
        vectors, norms = self._load("vectors", generation), self._load("log_norms", generation)
        if vectors.shape != (len(self), self.manifest["dim"]) or vectors.dtype != np.float32:
            raise AslError(
                f"{self.path}: vectors are {vectors.dtype} {vectors.shape}, index.json says {len(self)}"
            )
        return ReferenceEmbeddings(self.ids, vectors, norms)

    def add(self, references: Embeddings) -> SavedIndex:
        """The index with more references.

        Raises:
            AslError: another dimension, or an id that is there already (it is named).
        """
        if references.dim != self.manifest["dim"]:
            raise AslError(
                f"{self.path}: holds {self.manifest['dim']} dimensions, got {references.dim}"
            )
        twice = np.intersect1d(self.ids, references.ids)
        if len(twice):
            raise AslError(
                f"{self.path}: {len(twice)} id(s) are there already, e.g. {str(twice[0])!r}; remove first"
            )
        return self._rewritten([self.references(), references])

    def merge(self, other: SavedIndex) -> SavedIndex:
        """The index with all references of another one of the same model.

        Raises:
            AslError: another model or dimension, or an id that both hold.
        """
        if self.manifest["model"] != other.manifest["model"]:
            raise AslError(f"{self.path}, {other.path}: the indexes are of different models")
        return self.add(other.references())

    def remove(self, ids: Sequence[str] | StrArray) -> SavedIndex:
        """The index without some references.

        Raises:
            AslError: an id that is not there (it is named), or none would be left.
        """
        wanted = np.asarray(ids, dtype=np.str_)
        missing = np.setdiff1d(wanted, self.ids)
        if len(missing):
            raise AslError(
                f"{self.path}: {len(missing)} id(s) are not in this index, e.g. {str(missing[0])!r}"
            )
        return self._rewritten([self.references()], keep=~np.isin(self.ids, wanted))

    def _file(self, what: str, generation: int) -> Path:
        return self.path / f"{generation:08d}.{what}.npy"

    def companion(self, name: str) -> Path:
        """Where something that is made from the present references may be kept; a change deletes it."""
        safe = "".join(letter if letter.isalnum() else "_" for letter in name)
        return self.path / f"{self.manifest['generation']:08d}.{safe}.faiss"

    def _load(self, what: str, generation: int) -> Any:
        file = self._file(what, generation)
        return read_npy(file, remedy=_REBUILD, mapped=what == "vectors")

    def _rewritten(
        self, parts: Sequence[Rows], keep: npt.NDArray[np.bool_] | None = None
    ) -> SavedIndex:
        ids = as_ids(np.concatenate([part.ids for part in parts]), name=f"{self.path}")
        norms = np.concatenate([part.log_norms for part in parts])
        order = np.lexsort((ids, -norms))
        order = order if keep is None else order[keep[order]]
        if not len(order):
            raise AslError(f"{self.path}: an index holds at least one reference")
        generation = self.manifest["generation"] + 1
        self._write_vectors(self._file("vectors", generation), parts, order)
        for what, values in (("log_norms", norms[order]), ("ids", ids[order])):
            with atomic_binary(self._file(what, generation)) as file:
                np.save(file, values)
        manifest = {**self.manifest, "count": len(order), "generation": generation}
        write_json(self.path / "index.json", manifest)
        self._delete_others(generation)
        return SavedIndex(self.path, manifest)

    def _write_vectors(self, path: Path, parts: Sequence[Rows], order: I64) -> None:
        starts = np.cumsum([0] + [len(part.ids) for part in parts])
        shape = (len(order), self.manifest["dim"])
        with atomic_binary(path) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for low in range(0, len(order), _BLOCK):
                rows = order[low : low + _BLOCK]
                block = np.empty((len(rows), shape[1]), dtype="<f4")
                owners = np.searchsorted(starts, rows, side="right") - 1
                for owner in np.unique(owners).tolist():
                    mine = owners == owner
                    block[mine] = parts[owner].units(rows[mine] - starts[owner])
                file.write(block.tobytes())

    def _delete_others(self, generation: int) -> None:
        """Old generations, and what killed runs left."""
        for file in self.path.iterdir():
            if _OWN.fullmatch(file.name) and not file.name.startswith(f"{generation:08d}."):
                file.unlink(missing_ok=True)
