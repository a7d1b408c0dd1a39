"""Reading rows with their line numbers, and writing files that are either whole or not there."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from asl.types import AslError

_HEADERS = {"query", "query_id", "queryid", "query id", "query_image", "image", "image_id", "id"}


def shown(name: str) -> str:
    """A file's name as text that can be written as UTF-8, whatever bytes it has; those that are none are escaped."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def read_rows(path: Path, *, header: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Non-empty rows of a CSV file with their line numbers (1-based); a first row that equals ``header`` is skipped.

    Raises:
        AslError: the file cannot be read, is no text, or starts with another header.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AslError(f"{path}: cannot be read as CSV ({error})") from error
    first = [cell.lower() for cell in rows[0][1]] if rows else []
    if first[: len(header)] == list(header):
        return rows[1:]
    # Anything else that looks like a header would count as data: a pair that nobody meant.
    if first and (first[0] in _HEADERS or first[0] == header[0]):
        raise AslError(
            f"{path}, line 1: expected the header {','.join(header)} (or none), got {','.join(rows[0][1])!r}"
        )
    return rows


def file_stamp(path: str | Path) -> str:
    """Size and time of change of a file: where both are the same, so is what is in it; ``OSError`` without a file."""
    facts = os.stat(path)
    return f"{facts.st_size} {facts.st_mtime_ns}"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path``; renamed to it when the block ends well, removed when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_text(path: Path) -> Iterator[IO[str]]:
    """A UTF-8 text file that appears under its name only when it is whole."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        yield file
