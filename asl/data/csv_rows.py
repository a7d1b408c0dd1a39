"""Rows of small CSV tables with their line numbers."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from asl.counts import counted
from asl.types import AslError

Row = tuple[int, list[str]]
_HEADER_WORD = re.compile(r"(.*[ _-])?(q|r|id|query|reference|ref|image|img|name|copy|original)s?")
_WORD = re.compile(r"[^\W\d]+([ _-]+[^\W\d]+)*")  # letters, no digits, no suffix of a file


FORMULA = r"(?:\./)*[=+\-@\t\r]"  # start of a cell that a spreadsheet would run
_FORMULA = re.compile(FORMULA)
_ESCAPED = re.compile(rf"\./{FORMULA}")


def cell_of(name: str) -> str:
    """Write an id so that no spreadsheet takes it for a formula; :func:`id_of` is the inverse.

    >>> cell_of("=cmd.jpg"), cell_of("photos/=cmd.jpg"), id_of(cell_of("./=cmd.jpg"))
    ('./=cmd.jpg', 'photos/=cmd.jpg', './=cmd.jpg')
    """
    return f"./{name}" if _FORMULA.match(name) else name


def id_of(cell: str) -> str:
    """Read an id that :func:`cell_of` wrote."""
    return cell[2:] if _ESCAPED.match(cell) else cell


def read_rows(path: Path, *, header: Sequence[str], optional: Sequence[str] = ()) -> list[Row]:
    """Read the non-empty rows of a CSV file; a first row that equals ``header`` is skipped.

    Args:
        path: of the file; UTF-8.
        header: lower-case names of the first columns; a file with a header may have more.
        optional: columns that may follow them in a file without a header.

    Returns:
        (line number from 1, stripped cells) of each row.

    Raises:
        AslError: the file cannot be read, is no text, starts with another header, or a row has more
            cells than its header.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AslError(
            f"{path}: cannot be read as CSV ({error}); save it as comma-separated UTF-8"
        ) from error
    if not rows:
        return []
    first = [cell.lower() for cell in rows[0][1]]
    if first[: len(header)] == list(header):
        for number, row in rows[1:]:
            _check_width(path, number, row, len(first), f"a header of {len(first)}")
        return rows[1:]
    if _looks_like_header(first, rows[1:], len(header)):
        expected = ",".join(header)
        found = ",".join(rows[0][1])
        raise AslError(
            f"{path}, line 1: expected the header {expected} (or none), got {found!r}; rename its "
            "columns"
        )
    columns = [*header, *optional]
    for number, row in rows:
        _check_width(
            path,
            number,
            row,
            len(columns),
            f"the {counted(len(columns), 'column')} {','.join(columns)}",
        )
    return rows


def _check_width(path: Path, number: int, row: Sequence[str], width: int, expected: str) -> None:
    """Refuse a row with more cells than columns: which value is which would be a guess."""
    if len(row) > width:
        raise AslError(
            f"{path}, line {number}: {len(row)} values under {expected}: {','.join(row)!r}; write "
            "decimals with a point, put ids with commas in quotes, and name all columns in a header"
        )


def _looks_like_header(first: Sequence[str], others: Sequence[Row], columns: int) -> bool:
    """Guess whether a first row is a header of unknown names, which would count as data.

    Its first two cells are words for ids, or they are words without digits above ids that all have
    digits.
    """
    cells = first[: min(2, columns)]
    if any(cells) and all(_HEADER_WORD.fullmatch(cell) for cell in cells if cell):
        return True
    words = all(_WORD.fullmatch(cell) for cell in cells)
    numbered = all(any(letter.isdigit() for letter in row[0]) for _, row in others)
    return words and numbered and bool(others)
