"""Checksum of a file that another library writes: a line that is appended to its end.

FAISS reads its indexes up to the end of their content and ignores what follows, so that a checksum
in the file itself is replaced in one step with it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from asl.storage import ReadError

_MARK = b"\nasl-sha256:"
_SEAL_BYTES = len(_MARK) + 64
_TAIL_BYTES = 1 << 16  # before the end in which a displaced seal is looked for
_CHUNK_BYTES = 1 << 20


def seal(path: Path) -> None:
    """Append the checksum of a file's content to it.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "IVF64.faiss"
    ...     _ = file.write_bytes(b"an index")
    ...     seal(file)
    ...     check_seal(file, remedy="build it again")
    ...     _ = file.write_bytes(file.read_bytes().replace(b"an", b"on"))
    ...     check_seal(file, remedy="build it again")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    asl.storage.reading.ReadError: ...IVF64.faiss: damaged (its checksum differs); build it again
    """
    digest = _digest(path, path.stat().st_size)
    with path.open("ab") as file:
        file.write(_MARK + digest.encode())


def check_seal(path: Path, *, remedy: str, required: bool = False) -> None:
    """Compare a file's content with the checksum at its end; earlier versions wrote none.

    Args:
        path: the file.
        remedy: cure for a damaged file, for the message.
        required: refuse a file without a checksum, too.

    Raises:
        ReadError: the content has changed since it was sealed.
    """
    size = path.stat().st_size - _SEAL_BYTES
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read()
    mark, expected = tail[-_SEAL_BYTES:][: len(_MARK)], tail[-64:]
    sealed = mark == _MARK and _digest(path, size).encode() == expected
    # A damaged seal is no missing one: in another place, or with some of its letters.
    alike = sum(one == other for one, other in zip(mark, _MARK, strict=False))
    if not sealed and (_MARK in tail or alike > len(_MARK) // 2):
        raise ReadError(f"{path}: damaged (its checksum differs); {remedy}")
    if required and not sealed:
        raise ReadError(f"{path}: has no checksum; {remedy}")


def _digest(path: Path, size: int) -> str:
    """Return the SHA-256 of a file's first bytes."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while size > 0 and (block := file.read(min(size, _CHUNK_BYTES))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()
