"""Files of an index: one generation beside the other, written by one process at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np

from asl.storage import atomic_binary, exclusive_lock
from asl.types import F32, I64, StrArray, UsageError

_BLOCK_ROWS = 65536  # rows that are written at once
_GENERATION_FILE = re.compile(r"(\d{8})\.\w+\.(npy|faiss)")


class Rows(Protocol):
    """References whose vectors are read when they are written, e.g. a shard of a feature store."""

    @property
    def ids(self) -> StrArray:
        """``[n]`` ids."""
        ...

    @property
    def log_norms(self) -> F32:
        """float32 ``[n]`` log-norms."""
        ...

    @property
    def dim(self) -> int:
        """D, dimensions of a vector."""
        ...

    def units(self, rows: I64) -> F32:
        """Return float32 ``[m, D]``, the unit vectors of some rows."""
        ...


def generation_file(folder: Path, generation: int, name: str) -> Path:
    """Return the file of a generation.

    >>> generation_file(Path("library.index"), 3, "ids.npy").name
    '00000003.ids.npy'
    """
    return folder / f"{generation:08d}.{name}"


def write_vectors(path: Path, parts: Sequence[Rows], order: I64, *, dim: int) -> None:
    """Write the vectors of a generation, a block of rows at a time.

    Args:
        path: the file.
        parts: references, read when they are written.
        order: int64 ``[R]`` rows of the parts, one after the other, in the order of the file.
        dim: D.
    """
    starts = np.cumsum([0] + [len(part.ids) for part in parts])
    shape = (len(order), dim)
    with atomic_binary(path) as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for low in range(0, len(order), _BLOCK_ROWS):
            rows = order[low : low + _BLOCK_ROWS]
            block = np.empty((len(rows), shape[1]), dtype="<f4")
            owners = np.searchsorted(starts, rows, side="right") - 1
            for owner in np.unique(owners).tolist():
                own = owners == owner
                block[own] = parts[owner].units(rows[own] - starts[owner])
            file.write(block.tobytes())


def index_writer(folder: Path) -> AbstractContextManager[bool]:
    """Hold the lock of an index while it is changed.

    Raises:
        AslError: another process writes into it.
    """
    busy = f"{folder}: another process writes into this index; wait for it, then run it again"
    return exclusive_lock(folder.resolve() / ".lock", busy=busy)


def check_own_folder(folder: Path) -> None:
    """Refuse a folder with other files; killed writers leave files of a generation, or hidden."""
    if not folder.exists() or (folder / "index.json").is_file():
        return
    names = sorted(file.name for file in folder.iterdir())
    foreign = [
        name for name in names if not _GENERATION_FILE.fullmatch(name) and not name.startswith(".")
    ]
    if foreign:
        raise UsageError(
            f"index: {folder} holds other files ({foreign[0]}); choose a folder of its own"
        )


def last_generation(folder: Path) -> int:
    """Return the newest generation in a folder, by the names of its files; 0 without files."""
    matches = [_GENERATION_FILE.fullmatch(file.name) for file in folder.iterdir()]
    return max((int(match[1]) for match in matches if match), default=0)


def delete_other_generations(folder: Path, generation: int) -> None:
    """Delete earlier generations, and files that killed writers left."""
    for file in folder.iterdir():
        match = _GENERATION_FILE.fullmatch(file.name)
        if match and int(match[1]) != generation:
            file.unlink(missing_ok=True)
