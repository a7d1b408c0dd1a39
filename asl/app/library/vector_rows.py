"""Growing rows of a vector collection: in memory, or in files that are mapped and outlive it.

::

    library-vectors/manifest.json       format, model, dimensions, regions, generation, rows
    library-vectors/00000001.vectors    float32 [rows .., D], unit rows of whole images
    library-vectors/00000001.regions    float32 [rows .., R, D], unit rows of their regions
    library-vectors/00000001.facts      40 bytes [rows ..]: digest, log-norm, checksum

Rows are only appended. The manifest counts those that are complete on the disk; a process that was
killed left others behind them, which the next one writes again. Rows of references that are gone
are left out in a new generation of files.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asl.storage import ReadError, WriteError, exclusive_lock, read_errors, read_json, write_json
from asl.types import F32, I64, U8, AslError

FORMAT = "asl-library-vectors-1"
MANIFEST = "manifest.json"
REMEDY = "delete the folder, it is made again from the library"
FACTS = np.dtype([("digest", "u1", (32,)), ("log_norm", "<f4"), ("crc", "<u4")])
INITIAL_ROWS = 256
_LOCK = "write.lock"
_IN_MEMORY = "vectors are kept in memory, and read from the library whenever it is opened"
_PARTS = ("vectors", "regions", "facts")
_ROWS_AT_ONCE = 4096
_CHECKED_BYTES = 2**26  # up to which rows are compared with their checksums when they are opened
_MOST_SPARE_ROWS = 65536  # that files are lengthened by at once
_COMMIT_ROWS = 4096  # rows that a kill can lose: they are read from the library again
Facts = npt.NDArray[np.void]


class VectorRows:
    """Rows in memory.

    Attributes:
        vectors: float32 ``[rows, D]``, of which the collection uses the first ones.
        regions: float32 ``[rows, R, D]``.
        facts: :data:`FACTS` ``[rows]``.
        complete: number of rows that an earlier process left.
    """

    complete = 0

    def __init__(self, dim: int, regions: int) -> None:
        """Allocate the first rows."""
        self.vectors: F32 = np.zeros((INITIAL_ROWS, dim), dtype=np.float32)
        self.regions: F32 = np.zeros((INITIAL_ROWS, regions, dim), dtype=np.float32)
        self.facts: Facts = np.zeros(INITIAL_ROWS, dtype=FACTS)

    def put(self, start: int, vectors: F32, regions: F32, log_norms: F32, digests: U8) -> None:
        """Write rows from ``start`` on."""
        end = start + len(vectors)
        self.vectors[start:end] = vectors
        self.regions[start:end] = regions
        self.facts["log_norm"][start:end] = log_norms
        self.facts["digest"][start:end] = digests

    def room(self, rows: int) -> int:
        """Return the number of rows to grow to where ``rows`` are needed and more will come."""
        return max(rows, 2 * len(self.facts))

    def grow(self, rows: int, used: int) -> None:
        """Make room for a number of rows; the first ``used`` stay.

        Raises:
            OSError: the disk is full.
        """
        for name in _PARTS:
            old = getattr(self, name)
            new = np.zeros((rows, *old.shape[1:]), dtype=old.dtype)
            new[:used] = old[:used]
            setattr(self, name, new)

    def keep(self, rows: I64) -> None:
        """Keep only some rows, in their order.

        Raises:
            OSError: the disk is full; nothing has changed.
        """
        for name in _PARTS:
            setattr(self, name, getattr(self, name)[rows])

    def check(self) -> None:
        """Compare rows that outlive the process with their checksums.

        Raises:
            ReadError: one is damaged.
        """

    def in_memory(self, used: int) -> VectorRows:
        """Copy the first rows to memory."""
        copy = VectorRows(self.vectors.shape[1], self.regions.shape[1])
        for name in _PARTS:
            setattr(copy, name, np.array(getattr(self, name)[:used]))
        return copy

    def close(self, used: int) -> None:
        """Keep the first ``used`` rows for the next time, where they outlive the process."""


class MappedRows(VectorRows):
    """Rows in memory-mapped files; one process at a time has them."""

    def __init__(self, folder: Path, *, model: str, dim: int, regions: int, key: str) -> None:
        """Open the files of a folder, or begin them.

        Args:
            folder: of the files.
            model: hash of the model of the vectors.
            dim: D.
            regions: R.
            key: of the set of regions.

        Raises:
            OSError: nothing may be written there.
            AslError: another process has them, or might have them because nothing can be locked
                there, or the manifest cannot be written.
        """
        super().__init__(dim, regions)
        self._folder = folder
        self._generation = self._committed = 0
        self._identity = {
            "format": FORMAT,
            "model": model,
            "dim": dim,
            "regions": key,
            "regions_per_image": regions,
        }
        self._shapes = {"vectors": (dim,), "regions": (regions, dim), "facts": ()}
        self._held = ExitStack()
        folder.mkdir(parents=True, exist_ok=True)
        lock = exclusive_lock(folder / _LOCK, busy=str(folder), wait=0, unprotected=_IN_MEMORY)
        if not self._held.enter_context(lock):  # two processes would write into each other's rows
            self._held.close()
            raise AslError(f"{folder}: cannot be locked")
        try:
            self._open()
        except BaseException:
            self._held.close()
            raise

    def _open(self) -> None:
        try:
            manifest = read_manifest(self._folder)
            self._generation, rows = manifest["generation"], manifest["rows"]
            row_bytes = sum(self._bytes(name) for name in _PARTS)
            if rows * row_bytes <= _CHECKED_BYTES:
                check_rows(self._folder)
            if self._identity.items() <= manifest.items() and all(
                _size(self._path(name)) >= rows * self._bytes(name) for name in _PARTS
            ):
                self.complete = self._committed = rows
                self._map(max(rows, 1))
                return
        except ReadError:  # none, or damaged: made again
            pass
        self._begin(INITIAL_ROWS)
        self._commit(0)

    def _begin(self, rows: int) -> None:
        self._generation += 1
        for name in _PARTS:
            self._path(name).unlink(missing_ok=True)
        self._extend(rows)
        self._map(rows)

    def _path(self, name: str) -> Path:
        return part_path(self._folder, self._generation, name)

    def _bytes(self, name: str) -> int:
        """Bytes of a row."""
        itemsize = FACTS.itemsize if name == "facts" else 4
        return itemsize * int(np.prod(self._shapes[name]))

    def _extend(self, rows: int) -> None:
        """Write zeros: who writes into a map of a file without blocks is killed on a full disk.

        Raises:
            OSError: the disk is full.
        """
        for name in _PARTS:
            with self._path(name).open("ab") as file:
                missing = max(rows * self._bytes(name), 1) - file.tell()
                while missing > 0:
                    missing -= file.write(bytes(min(missing, 1 << 24)))

    def _map(self, rows: int) -> None:
        maps: dict[str, npt.NDArray[Any]] = {}
        for name in _PARTS:
            dtype = FACTS if name == "facts" else np.dtype("<f4")
            shape = (rows, *self._shapes[name])
            maps[name] = (
                np.zeros(shape, dtype)
                if 0 in shape
                else np.memmap(self._path(name), dtype, "r+", shape=shape)
            )
        self._maps = maps
        self.vectors, self.regions = np.asarray(maps["vectors"]), np.asarray(maps["regions"])
        self.facts = np.asarray(maps["facts"])

    def put(self, start: int, vectors: F32, regions: F32, log_norms: F32, digests: U8) -> None:
        """Write rows from ``start`` on, and their checksums."""
        super().put(start, vectors, regions, log_norms, digests)
        end = start + len(vectors)
        self.facts["crc"][start:end] = row_checksums(
            self.vectors[start:end], self.regions[start:end], self.facts[start:end]
        )
        if end >= self._committed + _COMMIT_ROWS:
            with suppress(OSError, WriteError):  # the next time
                self._commit(end)

    def room(self, rows: int) -> int:
        """Grow by an eighth: longer files need no copy."""
        return rows + min(rows // 8, _MOST_SPARE_ROWS)

    def grow(self, rows: int, used: int) -> None:
        """Lengthen the files and map them again; earlier maps stay as they are."""
        self._extend(rows)
        self._map(rows)

    def keep(self, rows: I64) -> None:
        """Copy some rows to a new generation of files."""
        old, generation = (self.vectors, self.regions, self.facts), self._generation
        try:
            self._begin(max(len(rows), INITIAL_ROWS))
        except OSError:
            self._generation = generation
            raise
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[start : start + _ROWS_AT_ONCE]
            for array, mapped in zip(old, (self.vectors, self.regions, self.facts), strict=True):
                mapped[start : start + len(some)] = array[some]
        self._committed = 0
        with suppress(OSError, WriteError):
            self._commit(len(rows))

    def _commit(self, rows: int) -> None:
        """Flush rows to the disk, count them, and remove files of earlier generations."""
        for mapped in self._maps.values():
            if isinstance(mapped, np.memmap):
                mapped.flush()
        facts = {"generation": self._generation, "rows": rows}
        write_json(self._folder / MANIFEST, {**self._identity, **facts})
        self._committed = rows
        for path in self._folder.glob("*.*"):
            if path.suffix[1:] in _PARTS and path.stem != f"{self._generation:08d}":
                with suppress(OSError):  # mapped files cannot be removed on Windows
                    path.unlink()

    def check(self) -> None:
        """Compare the rows that are counted with their checksums."""
        check_rows(self._folder)

    def in_memory(self, used: int) -> VectorRows:
        """Copy the first rows to memory, where the files can grow no more."""
        self.close(used)
        return super().in_memory(used)

    def close(self, used: int) -> None:
        """Count the rows, and let another process have the files."""
        with suppress(OSError, AslError):  # they are read from the library again
            if used != self._committed:
                self._commit(used)
        self._held.close()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read which rows a folder has.

    Raises:
        ReadError: it is missing or damaged.
    """
    path = folder / MANIFEST
    manifest = read_json(path, remedy=REMEDY)
    with read_errors(path, REMEDY):
        if manifest.get("format") != FORMAT:
            raise ValueError(f"its format is {manifest.get('format')!r}, expected {FORMAT!r}")
        for name in ("generation", "rows", "dim", "regions_per_image"):
            if not isinstance(manifest.get(name), int) or not 0 <= manifest[name] < 2**40:
                raise ValueError(f"{name} is no count")
    return manifest


def check_rows(folder: Path) -> int:
    """Compare every complete row with its checksum; return their number.

    Raises:
        ReadError: a file is missing or damaged.
    """
    manifest = read_manifest(folder)
    rows, dim, regions = (int(manifest[key]) for key in ("rows", "dim", "regions_per_image"))
    shapes = {"vectors": (dim,), "regions": (regions * dim,), "facts": ()}
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, shape in shapes.items():
        path = part_path(folder, manifest["generation"], name)
        dtype = FACTS if name == "facts" else np.dtype("<f4")
        with read_errors(path, REMEDY):
            empty = 0 in (rows, *shape)
            arrays[name] = (
                np.zeros((rows, *shape), dtype)
                if empty
                else np.memmap(path, dtype, "r", shape=(rows, *shape))
            )
    with read_errors(folder, REMEDY):
        for start in range(0, rows, _ROWS_AT_ONCE):
            some = slice(start, start + _ROWS_AT_ONCE)
            parts = arrays["vectors"][some], arrays["regions"][some], arrays["facts"][some]
            if np.any(row_checksums(*parts) != parts[2]["crc"]):
                raise ValueError("the checksum of a row differs")
    return rows


def part_path(folder: Path, generation: int, name: str) -> Path:
    """Return the file of a part of the rows."""
    return folder / f"{generation:08d}.{name}"


def row_checksums(vectors: F32, regions: F32, facts: Facts) -> npt.NDArray[np.uint32]:
    """CRC-32 of each row, uint32 ``[n]``."""
    columns = [
        np.ascontiguousarray(part).reshape(len(vectors), -1).view(np.uint8)
        for part in (facts["digest"], vectors, regions, facts["log_norm"])
    ]
    crcs = [0] * len(vectors)
    for column in columns:
        if column.shape[1]:
            crcs = [zlib.crc32(row.data, crc) for row, crc in zip(column, crcs, strict=True)]
    return np.array(crcs, dtype=np.uint32)


def digest_bytes(digests: Sequence[str]) -> U8:
    """Return hexadecimal digests as uint8 ``[n, 32]``."""
    return np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
