"""Readers for the files that we write. All fail alike: ``FILE: damaged (why); what to do``."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from errno import ENOSPC, EROFS
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asl.storage.sealed_json import without_seal
from asl.storage.writing import WriteError
from asl.types import AslError

_NPY_MAGIC = b"\x93NUMPY"
_CHUNK_BYTES = 1 << 20
_LEAST_SPACE = 1 << 16  # bytes that SQLite needs to open a file with a journal
_LONGEST_REASON = 200  # characters of a library's own message


class ReadError(AslError):
    """A file is missing, may not be read, or is not what was written."""


def file_stamp(path: str | Path) -> str:
    """Return size and modification time of a file; equal stamps mean equal content.

    Raises:
        OSError: the file cannot be examined.
    """
    facts = os.stat(path)
    return f"{facts.st_size} {facts.st_mtime_ns}"


def checksum(*paths: str | Path, remedy: str) -> str:
    """Return the SHA-256 (64 hexadecimal digits) of the bytes of some files, one after the other.

    Raises:
        ReadError: one cannot be read (it is named).
    """
    digest = hashlib.sha256()
    for path in paths:
        with read_errors(Path(path), remedy), Path(path).open("rb") as file:
            while block := file.read(_CHUNK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def read_json(path: str | Path, *, remedy: str, sha256: str | None = None) -> dict[str, Any]:
    """Read a JSON object, and compare it with the checksum that :func:`write_json` added.

    Args:
        path: of the file.
        remedy: what to do about a damaged file, for the message.
        sha256: of the file's bytes, where it is known.

    Returns:
        The object without its checksum.

    Raises:
        ReadError: missing, unreadable, no JSON object, or changed.
    """
    path = Path(path)
    with read_errors(path, remedy):
        data = path.read_bytes()
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise ValueError("its checksum differs")
        value = json.loads(data.decode("utf-8"))
        if not isinstance(value, dict):
            raise ValueError(f"expected a JSON object, found {type(value).__name__}")
        return without_seal(value)


def read_npy(
    path: str | Path,
    *,
    remedy: str,
    dtype: npt.DTypeLike | None = None,
    shape: Sequence[int | None] | None = None,
    mapped: bool = False,
) -> npt.NDArray[Any]:
    """Read an array; nothing is unpickled.

    Args:
        path: of the file.
        remedy: what to do about a damaged file, for the message.
        dtype: expected type; None accepts every one.
        shape: expected shape, None for lengths that do not matter; None accepts every one.
        mapped: map the file read-only instead of reading it.

    Raises:
        ReadError: missing, unreadable, no array, or another type or shape.
    """
    path = Path(path)
    with read_errors(path, remedy):
        # Opened here, so that it is closed also where numpy cannot read it.
        with path.open("rb") as file:
            if file.read(len(_NPY_MAGIC)) != _NPY_MAGIC:
                raise ValueError("not an array file")
            file.seek(0)
            array = _map(path) if mapped else np.load(file, allow_pickle=False)
        fits = shape is None or (
            len(shape) == array.ndim
            and all(want in (None, got) for want, got in zip(shape, array.shape, strict=True))
        )
        if not fits or (dtype is not None and array.dtype != np.dtype(dtype)):
            wanted = "" if dtype is None else f"{np.dtype(dtype)} "
            sizes = "" if shape is None else _shape_text(shape)
            found = f"{array.dtype} {_shape_text(array.shape)}"
            raise ValueError(f"holds {found}, expected {wanted}{sizes}".rstrip())
        return array


def read_npz(path: str | Path, *, remedy: str, names: Collection[str]) -> dict[str, Any]:
    """Read arrays of an ``.npz`` file by name; nothing is unpickled.

    Raises:
        ReadError: missing, unreadable, damaged, or an array is missing.
    """
    path = Path(path)
    # Opened here: numpy leaves the file open when it cannot read it.
    with (
        read_errors(path, remedy),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as stored,
    ):
        missing = [name for name in names if name not in stored.files]
        if missing:
            raise ValueError(f"lacks {', '.join(missing)}")
        arrays = {name: stored[name] for name in names}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("a member is no array")
        return arrays


def open_database(path: str | Path, *, remedy: str, existing: bool = False) -> sqlite3.Connection:
    """Open an SQLite file for use from any thread; wait for other writers for up to 30 seconds.

    Args:
        path: of the file; ``:memory:`` for none.
        remedy: what to do about a damaged file, for the message.
        existing: refuse a file that is not there instead of creating it.

    Raises:
        ReadError: the file cannot be opened, or is no database.
    """
    if existing and not Path(path).is_file():
        raise ReadError(f"{path}: cannot be read (there is no such file); {remedy}")
    with database_errors(path, remedy=remedy):
        database = sqlite3.connect(str(path), timeout=30, check_same_thread=False)
        try:
            database.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.Error:
            database.close()
            raise
        return database


@contextmanager
def database_errors(path: str | Path, *, remedy: str) -> Iterator[None]:
    """Turn errors of SQLite in the block into one that names the file.

    Raises:
        ReadError: the file is damaged, is no database, or cannot be opened.
        WriteError: the disk is full, or nothing may be written.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise _damaged(path, error, remedy) from error
    except sqlite3.OperationalError as error:
        text = " ".join(str(error).split())[:_LONGEST_REASON]
        if "decode" in text:
            raise _damaged(path, error, remedy) from error
        # Without space SQLite fails in several ways, also while it opens a good file.
        if "full" in text or ("locked" not in text and _has_no_space(path)):
            advice = "free some space on that disk, then run it again"
            raise WriteError(f"{path}: the disk is full ({text}); {advice}", ENOSPC) from error
        if "readonly" in text:
            advice = "choose another place"
            raise WriteError(f"{path}: cannot be written ({text}); {advice}", EROFS) from error
        if "locked" in text:
            raise ReadError(f"{path}: in use by another process; wait for it") from error
        raise ReadError(f"{path}: cannot be opened ({text}); {remedy}") from error
    except sqlite3.ProgrammingError as error:  # a mistake of the caller: the file is whole
        if "closed" in str(error):
            raise AslError(f"{path}: is closed; open it again") from error
        raise
    except sqlite3.DatabaseError as error:
        raise ReadError(f"{path}: damaged ({error}); {remedy}") from error


def _has_no_space(path: str | Path) -> bool:
    try:
        return shutil.disk_usage(Path(path).parent).free < _LEAST_SPACE
    except OSError:
        return False


def _map(path: Path) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _shape_text(shape: Sequence[int | None]) -> str:
    return "[" + ", ".join("?" if length is None else str(length) for length in shape) + "]"


@contextmanager
def read_errors(path: str | Path, remedy: str) -> Iterator[None]:
    """Turn whatever reading a file raises in the block into one error; an ``AslError`` passes.

    Damaged bytes make parsers raise their own classes (``BadZipFile``, ``TokenError``,
    ``RecursionError``, ``UnicodeDecodeError``, ``zlib.error`` ...).

    Args:
        path: of the file.
        remedy: what to do about a damaged file, for the message.

    Raises:
        ReadError: the file cannot be read, or is damaged.
    """
    try:
        yield
    except AslError:
        raise
    except FileNotFoundError as error:
        raise ReadError(f"{path}: cannot be read (there is no such file); {remedy}") from error
    except OSError as error:
        if error.errno is not None:
            reason = error.strerror or str(error)
            raise ReadError(f"{path}: cannot be read ({reason}); {remedy}") from error
        raise _damaged(path, error, remedy) from error
    except Exception as error:
        raise _damaged(path, error, remedy) from error


def _damaged(path: str | Path, error: Exception, remedy: str) -> ReadError:
    reason = " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__
    return ReadError(f"{path}: damaged ({reason}); {remedy}")
