"""Rows of small CSV tables with their line numbers."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from asl.types import AslError

_HEADERS = {"query", "query_id", "queryid", "query id", "query_image", "image", "image_id", "id"}


def read_rows(path: Path, *, header: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Read the non-empty rows of a CSV file; a first row that equals ``header`` is skipped.

    Args:
        path: of the file; UTF-8.
        header: lower-case names of the first columns.

    Returns:
        (line number from 1, stripped cells) of each row.

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
        expected, found = ",".join(header), ",".join(rows[0][1])
        raise AslError(f"{path}, line 1: expected the header {expected} (or none), got {found!r}")
    return rows
