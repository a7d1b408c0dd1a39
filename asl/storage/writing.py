"""Atomic writes: a file or folder appears under its name only when it is complete.

A writer works under a temporary name in the same folder, ``.NAME.HOST-PID-RANDOM.part``, which is
created exclusively and never through a link; the file is flushed to the disk and renamed. Where
that fails the temporary file is removed and the error names the final path. Files of writers that
were killed are removed by the next writer in the same folder.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from asl.storage.sealed_json import sealed
from asl.storage.undecoded_names import IN_JSON, PRINTABLE
from asl.types import AslError

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NAME_CHARACTERS = 40  # of the final name that are repeated in the temporary one
_ABANDONED_SECONDS = 24 * 3600  # age at which a temporary file of another machine counts as left
_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]
_TEMPORARY = re.compile(r"\..*\.(?P<host>[0-9a-f]{6})-(?P<pid>\d+)-[0-9a-f]{8}\.part")
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_swept_folders: set[Path] = set()


class WriteError(AslError):
    """A file or folder could not be written.

    Attributes:
        errno: error number of the operating system; 0 where there was none.
    """

    def __init__(self, message: str, errno: int = 0) -> None:
        super().__init__(message)
        self.errno = errno

    @property
    def disk_full(self) -> bool:
        """True where the file system or the quota is full."""
        return self.errno in _FULL


@contextmanager
def atomic_path(path: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary file beside ``path`` and rename it to ``path`` when the block succeeds.

    For libraries that write to a name; the temporary file exists and is empty. It is removed when
    the block raises.

    Args:
        path: final name; its folder is created.
        durable: flush file and folder to the disk. False for caches, whose readers take a damaged
            file for a missing one.

    Raises:
        WriteError: the file cannot be created, written or renamed; names ``path``.
    """
    path = Path(path)
    with _named_errors(path, None):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent)
        temporary = _temporary(path)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _NOFOLLOW, 0o666))
    try:
        with _named_errors(path, temporary):
            yield temporary
            if durable:
                with temporary.open("r+b") as file:
                    os.fsync(file.fileno())
            os.replace(temporary, path)
            if durable:
                _flush_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_binary(path: str | Path, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """Yield a binary file that appears under ``path`` when the block succeeds.

    Raises:
        WriteError: as :func:`atomic_path`.
    """
    with (
        atomic_path(path, durable=durable) as temporary,
        open(temporary, "wb", opener=_open_no_link) as file,
    ):
        yield file


@contextmanager
def atomic_text(path: str | Path) -> Iterator[IO[str]]:
    r"""Yield a UTF-8 text file that appears under ``path`` when the block succeeds.

    Newlines are written as they are given, bytes of file names that are not UTF-8 as ``\xff``.

    Raises:
        WriteError: as :func:`atomic_path`.
    """
    with (
        atomic_path(path) as temporary,
        open(
            temporary,
            "w",
            newline="",
            encoding="utf-8",
            errors=PRINTABLE,
            opener=_open_no_link,
        ) as file,
    ):
        yield file


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a whole file.

    Raises:
        WriteError: as :func:`atomic_path`.
    """
    with atomic_binary(path) as file:
        file.write(data)


def write_json(path: str | Path, value: Any) -> None:
    r"""Write a JSON file: UTF-8, indented, NaN refused; an object gets its checksum as a key.

    Bytes of file names that are not UTF-8 are written as JSON escapes (``\udcff``), by which a
    reader finds the file again.

    Raises:
        WriteError: as :func:`atomic_path`.
        ValueError: a number is not finite.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    if isinstance(value, dict):
        whole = sealed(json.loads(text))
        text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(path, text.encode("utf-8", IN_JSON))


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty temporary folder and rename it to ``path`` when the block succeeds.

    It is removed with everything in it when the block raises.

    Args:
        path: final name; must not exist (an empty folder is replaced).

    Raises:
        WriteError: the folder cannot be created, written or renamed; names ``path``.
    """
    path = Path(path)
    with _named_errors(path, None):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent)
        temporary = _temporary(path)
        temporary.mkdir()
    try:
        with _named_errors(path, temporary):
            yield temporary
            os.rename(temporary, path)
            _flush_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary(path: Path) -> Path:
    name = path.name[:_NAME_CHARACTERS]
    return path.with_name(f".{name}.{_HOST}-{os.getpid()}-{secrets.token_hex(4)}.part")


def _open_no_link(name: str, flags: int) -> int:
    return os.open(name, flags & ~os.O_CREAT | _NOFOLLOW)


def _flush_folder(folder: Path) -> None:
    """Flush a rename to the disk where the system can (Windows and some network drives cannot)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _named_errors(path: Path, temporary: Path | None) -> Iterator[None]:
    """Name ``path`` in errors of writing ``temporary``; errors about other files pass."""
    try:
        yield
    except OSError as error:
        about = error.filename
        if temporary is not None and about is not None and not _inside(about, temporary):
            raise
        reason = error.strerror or str(error) or type(error).__name__
        if isinstance(error, FileExistsError | NotADirectoryError) and not path.parent.is_dir():
            reason = "a file is where its folder should be"
        raise WriteError(
            f"{path}: cannot be written ({reason}); {_advice(error.errno)}", error.errno or 0
        ) from error


def _inside(name: object, temporary: Path) -> bool:
    text = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else ""
    return text == str(temporary) or text.startswith(f"{temporary}{os.sep}")


def _advice(number: int | None) -> str:
    if number in _FULL:
        return "free some space on that disk, then run it again"
    if number in _FORBIDDEN:
        return "choose a place that may be written, or change its permissions"
    return "choose another place"


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed writers left in a folder, once for each folder and process."""
    if folder in _swept_folders:
        return
    _swept_folders.add(folder)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if match and _is_abandoned(entry, match["host"], int(match["pid"])):
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path)
                    else:
                        os.unlink(entry.path)


def _is_abandoned(entry: os.DirEntry[str], host: str, pid: int) -> bool:
    if host == _HOST and os.name == "posix":
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            return False
        return False
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_SECONDS
