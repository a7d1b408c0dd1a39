"""Checksums of text files (CSV, Markdown, HTML), in a file beside them.

Text that people and other tools read has no place for a checksum of its own. ``asl.sha256`` has a
line for each such file that was written into its folder, in the format of ``sha256sum``:
``sha256sum --check asl.sha256`` compares them, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from asl.storage.reading import ReadError, checksum, read_errors
from asl.storage.writing import WriteError, atomic_binary

CHECKSUM_LIST = "asl.sha256"
_AGAIN = "delete it: the files beside it stay, and are no longer compared"
_DIGEST_LETTERS = 64


@contextmanager
def recorded(path: str | Path) -> Iterator[None]:
    """Record the checksum of a text file that the block writes.

    Where the list cannot be written (another user's folder), the file has no checksum.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     table = Path(folder) / "pairs.csv"
    ...     with recorded(table):
    ...         _ = table.write_text("a,b,0.5")
    ...     as_written = is_as_written(table)
    >>> as_written
    True
    """
    path = Path(path)
    _replace(path, "")  # a writer that is killed leaves no checksum, not a wrong one
    yield
    _replace(path, checksum(path, remedy="write it again"))


def is_as_written(path: str | Path) -> bool:
    """Compare a text file with the checksum that was recorded when it was written.

    Returns:
        False where none was recorded: the file is from elsewhere, or from an earlier version.

    Raises:
        ReadError: it was edited or damaged since, or the list is damaged.
    """
    path = Path(path)
    expected = read_checksums(path.parent).get(path.name)
    if expected is None:
        return False
    if checksum(path, remedy="write it again") != expected:
        raise ReadError(
            f"{path}: edited or damaged since asl wrote it (its checksum in {CHECKSUM_LIST} "
            "differs); write it again, or remove its line there to keep the edit"
        )
    return True


def remove_stale(path: Path) -> None:
    """Remove a page or table of an earlier run, which would be taken for one of this run.

    One that was edited, or that asl did not write, stays.
    """
    with suppress(ReadError, OSError):
        if is_as_written(path):
            path.unlink()


def read_checksums(folder: Path) -> dict[str, str]:
    """Read file name -> SHA-256; empty where the folder has no list.

    Raises:
        ReadError: the list is damaged.
    """
    path = folder / CHECKSUM_LIST
    listed: dict[str, str] = {}
    if not path.is_file():
        return listed
    with read_errors(path, _AGAIN):
        for number, line in enumerate(path.read_bytes().decode("utf-8").splitlines(), start=1):
            digest, _, name = line.partition("  ")
            if len(digest) != _DIGEST_LETTERS or set(digest) - set("0123456789abcdef") or not name:
                raise ValueError(f"line {number} is no checksum and file name")
            listed[name] = digest
    return listed


def _replace(path: Path, digest: str) -> None:
    """Replace the checksum of a file; empty: remove it. Files that are gone leave the list."""
    if not path.name.isprintable():  # a line of its own needs a name of one line
        return
    try:
        listed = read_checksums(path.parent)
    except ReadError:
        listed = {}
    before = dict(listed)
    listed[path.name] = digest
    kept = {name: one for name, one in listed.items() if one and (path.parent / name).exists()}
    if kept == before:
        return
    with suppress(WriteError), atomic_binary(path.parent / CHECKSUM_LIST) as file:
        lines = [f"{kept[name]}  {name}\n" for name in sorted(kept)]
        file.write("".join(lines).encode("utf-8"))
