"""Index on disk: references sorted by norm once for every search, added, removed, memory-mapped.

::

    index.json                  format, model, dim, count, generation, checksums of the files
    00000003.vectors.npy        float32 [R, D] unit rows, by falling log-norm (equal ones by id)
    00000003.log_norms.npy      float32 [R]
    00000003.ids.npy            unicode [R]

A change writes a new generation beside the old one, then replaces ``index.json`` in one step:
killed at any moment, the index is as before or as after. One process changes an index at a time; a
search that still reads the old generation is not disturbed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asl.counts import counted
from asl.index.index_files import (
    Rows,
    check_own_folder,
    delete_other_generations,
    generation_file,
    index_writer,
    last_generation,
    write_vectors,
)
from asl.model_names import model_text
from asl.storage import ReadError, atomic_binary, checksum, read_json, read_npy, write_json
from asl.types import AslError, Bools, Embeddings, ReferenceEmbeddings, StrArray, as_ids

FORMAT = "asl-index-1"
_KEYS = {"model", "dim", "count", "generation"}
_REBUILD = "build the index again"
_PARTS = ("vectors", "log_norms", "ids")
_CHECKED_BYTES = 2**26  # size of vectors up to which they are always compared with their checksum


@dataclass(frozen=True)
class SavedIndex:
    """An index on disk.

    Attributes:
        path: its folder.
        manifest: content of ``index.json``.

    >>> from tempfile import TemporaryDirectory
    >>> photos = Embeddings.from_features(["a", "b"], [[1.0, 0.0], [0.0, 2.0]])
    >>> with TemporaryDirectory() as folder:
    ...     index = SavedIndex.create(folder, photos, model="mine")
    ...     index = index.add(Embeddings.from_features(["c"], [[3.0, 3.0]])).remove(["a"])
    ...     index.references().ids.tolist()  # by falling norm
    ['c', 'b']
    """

    path: Path
    manifest: dict[str, Any]

    @staticmethod
    def is_index(path: str | Path) -> bool:
        """Report whether a folder holds an index."""
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
        """Write an index; an existing one is replaced.

        Args:
            path: folder.
            references: R references, at least one; as pieces they need not fit in memory.
            model: hash of the model that made the features.
            fast_decode: large JPEGs were decoded at a fraction of their size for them.

        Raises:
            UsageError: the folder holds other files.
            AslError: there are no references, ids are duplicate, or another process writes into
                the index.
        """
        parts = [references] if isinstance(references, Embeddings) else list(references)
        if not parts:
            raise _no_references(path)
        folder = Path(path)
        check_own_folder(folder)
        with index_writer(folder):
            facts = {
                "format": FORMAT,
                "model": model,
                "fast_decode": fast_decode,
                "dim": parts[0].dim,
                "count": 0,
                "generation": last_generation(folder),
            }
            return cls(folder, facts)._write(parts)

    @classmethod
    def open(cls, path: str | Path, *, check_files: bool = False) -> SavedIndex:
        """Open an index.

        Args:
            path: its folder.
            check_files: compare every file with its checksum. Otherwise ids, log-norms and up to
                64 MiB of vectors are compared when they are loaded, and more vectors only in shape,
                type and norm.

        Raises:
            AslError: there is no index, or it is damaged or of another format.
        """
        folder = Path(path)
        if not cls.is_index(folder):
            raise AslError(f"{folder}: not an index (it has no index.json); make one first")
        manifest = read_json(folder / "index.json", remedy=_REBUILD)
        if manifest.get("format") != FORMAT:
            raise AslError(
                f"{folder}: is no index of this version (expected format {FORMAT!r}), "
                f"got {manifest.get('format')!r}; {_REBUILD}"
            )
        missing = _KEYS - manifest.keys()
        if missing:
            raise ReadError(
                f"{folder}/index.json: damaged (lacks {', '.join(sorted(missing))}); {_REBUILD}"
            )
        if not all(isinstance(manifest[key], int) for key in ("dim", "count", "generation")):
            raise ReadError(f"{folder}/index.json: damaged (a size is no number); {_REBUILD}")
        index = cls(folder, manifest)
        if check_files:
            for part in _PARTS:
                index._compare(part)
        return index

    def __len__(self) -> int:
        return int(self.manifest["count"])

    @property
    def ids(self) -> StrArray:
        """``[R]`` ids, by falling log-norm."""
        ids: StrArray = self._load("ids")
        return ids

    def references(self) -> ReferenceEmbeddings:
        """Load the references, their vectors memory-mapped.

        Where another process has changed the index since it was opened, its new state is loaded.

        Raises:
            AslError: a file is missing, damaged, or does not match ``index.json``.
        """
        try:
            return self._references()
        except ReadError:
            current = SavedIndex.open(self.path)
            if current.manifest["generation"] == self.manifest["generation"]:
                raise
            return current._references()

    def _references(self) -> ReferenceEmbeddings:
        return ReferenceEmbeddings(self.ids, self._load("vectors"), self._load("log_norms"))

    def add(self, references: Embeddings) -> SavedIndex:
        """Add references to the index as it is on disk now; return the new index.

        Raises:
            AslError: the dimensions differ, an id is in the index already, or another process
                writes into the index.
        """
        if references.dim != self.manifest["dim"]:
            raise AslError(
                f"{self.path}: references must have the index's dimensions: holds "
                f"{self.manifest['dim']} dimensions, got {references.dim}; use the same model"
            )

        def added(current: SavedIndex) -> SavedIndex:
            known = np.intersect1d(current.ids, references.ids)
            if len(known):
                raise AslError(
                    f"{self.path}: {counted(len(known), 'id is', 'ids are')} there already, e.g. "
                    f"{str(known[0])!r}; remove them first"
                )
            return current._write([current.references(), references])

        return self._changed(added)

    def merge(self, other: SavedIndex) -> SavedIndex:
        """Add all references of another index of the same model; return the new index.

        Raises:
            AslError: the models or dimensions differ, or an id is in both.
        """
        if self.manifest["model"] != other.manifest["model"]:
            raise AslError(
                f"{self.path}, {other.path}: the indexes are of different models "
                f"({model_text(self.manifest['model'])}, {model_text(other.manifest['model'])}); "
                "extract both with one model"
            )
        return self.add(other.references())

    def remove(self, ids: Sequence[str] | StrArray) -> SavedIndex:
        """Remove references from the index as it is on disk now; return the new index.

        Raises:
            AslError: an id is not in the index, no reference would be left, or another process
                writes into the index.
        """
        removed = np.asarray(ids, dtype=np.str_)

        def without(current: SavedIndex) -> SavedIndex:
            missing = np.setdiff1d(removed, current.ids)
            if len(missing):
                raise AslError(
                    f"{self.path}: {counted(len(missing), 'id is', 'ids are')} not in this index, "
                    f"e.g. {str(missing[0])!r}; leave them out"
                )
            return current._write([current.references()], keep=~np.isin(current.ids, removed))

        return self._changed(without)

    def companion(self, name: str) -> Path:
        """Return the file for data derived from the present references; a change deletes it."""
        safe = "".join(letter if letter.isalnum() else "_" for letter in name)
        return generation_file(self.path, self.manifest["generation"], f"{safe}.faiss")

    def _file(self, part: str) -> Path:
        return generation_file(self.path, self.manifest["generation"], f"{part}.npy")

    def _load(self, part: str) -> Any:
        if part != "vectors" or self._vector_bytes <= _CHECKED_BYTES:
            self._compare(part)
        shape = (len(self), self.manifest["dim"]) if part == "vectors" else (len(self),)
        array = read_npy(
            self._file(part),
            remedy=_REBUILD,
            dtype=None if part == "ids" else np.float32,
            shape=shape,
            mapped=part == "vectors",
        )
        if part == "ids" and array.dtype.kind != "U":
            raise ReadError(f"{self._file(part)}: damaged (holds {array.dtype}); {_REBUILD}")
        return array

    @property
    def _vector_bytes(self) -> int:
        return 4 * len(self) * int(self.manifest["dim"])

    def _compare(self, part: str) -> None:
        """Compare a file with its checksum; indexes of earlier versions have none."""
        expected = self.manifest.get("checksums", {}).get(part)
        file = self._file(part)
        if expected is not None and checksum(file, remedy=_REBUILD) != expected:
            raise ReadError(f"{file}: damaged (its checksum differs); {_REBUILD}")

    def _changed(self, change: Callable[[SavedIndex], SavedIndex]) -> SavedIndex:
        """Apply a change to the index as it is on disk, alone."""
        with index_writer(self.path):
            return change(SavedIndex.open(self.path))

    def _write(self, parts: Sequence[Rows], keep: Bools | None = None) -> SavedIndex:
        """Write the next generation; the caller holds the lock."""
        ids = as_ids(np.concatenate([part.ids for part in parts]), name=f"{self.path}")
        norms = np.concatenate([part.log_norms for part in parts])
        order = np.lexsort((ids, -norms))
        order = order if keep is None else order[keep[order]]
        if not len(order):
            raise _no_references(self.path)
        facts = {"count": len(order), "generation": self.manifest["generation"] + 1}
        written = SavedIndex(self.path, {**self.manifest, **facts})
        write_vectors(written._file("vectors"), parts, order, dim=self.manifest["dim"])
        for part, values in (("log_norms", norms[order]), ("ids", ids[order])):
            with atomic_binary(written._file(part)) as file:
                np.save(file, values)
        written.manifest["checksums"] = {
            part: checksum(written._file(part), remedy=_REBUILD) for part in _PARTS
        }
        write_json(self.path / "index.json", written.manifest)
        delete_other_generations(self.path, facts["generation"])
        return written


def _no_references(path: str | Path) -> AslError:
    return AslError(f"{path}: an index holds at least one reference, got none; add images")
