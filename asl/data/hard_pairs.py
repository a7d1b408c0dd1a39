"""Lists of hard-negative pairs: two training images that look alike and are not copies of each other."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from asl.data.files import atomic_text, read_rows
from asl.types import AslError


def read_hard_pairs(path: Path) -> list[tuple[str, str]]:
    """Read a CSV of two ids a line (header ``first,second`` optional).

    Raises:
        AslError: cannot be read, no pair in it, or a line that is not two ids (it is named by its number).
    """
    rows = read_rows(path, header=["first", "second"])
    for number, row in rows:
        if len(row) != 2 or not all(row):
            raise AslError(f"{path}, line {number}: expected two ids `first,second`, got {','.join(row)!r}")
    if not rows:
        raise AslError(f"{path}: no pair in it")
    return [(row[0], row[1]) for _, row in rows]


def write_hard_pairs(pairs: Iterable[tuple[str, str]], path: Path) -> None:
    """Write such a CSV."""
    with atomic_text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["first", "second"])
        writer.writerows(pairs)
