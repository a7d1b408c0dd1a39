"""Lists of hard-negative pairs: two training images that look alike and are not copies."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from asl.data.csv_rows import read_rows
from asl.storage import atomic_text, recorded
from asl.types import AslError

HEADER = ["first", "second", "directed"]
_WORDS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}


class HardPair(NamedTuple):
    """A pair of look-alikes.

    Attributes:
        first: id of an image.
        second: id of the other.
        directed: the first is known to hold more (the second may be a crop of it).
    """

    first: str
    second: str
    directed: bool = False


def read_hard_pairs(path: Path) -> list[HardPair]:
    """Read a CSV ``first,second[,directed]``.

    The header is optional; ``directed`` is 1 or 0, empty for 0.

    Raises:
        AslError: cannot be read, no pair in it, or a malformed line (its number is named).
    """
    rows = read_rows(path, header=HEADER[:2], optional=HEADER[2:])
    pairs = []
    for number, row in rows:
        ids = row[:2]
        word = row[2].lower() if len(row) == 3 else ""
        if len(row) not in (2, 3) or not all(ids) or word not in _WORDS:
            raise AslError(
                f"{path}, line {number}: expected two ids `first,second` and, where known, "
                f"`directed` (1 or 0), got {','.join(row)!r}"
            )
        pairs.append(HardPair(row[0], row[1], _WORDS[word]))
    if not pairs:
        raise AslError(f"{path}: no pair in it; expected rows first,second[,directed]")
    return pairs


def write_hard_pairs(pairs: Iterable[tuple[str, str] | HardPair], path: Path) -> None:
    """Write a CSV of pairs, with ``directed`` only where one is."""
    listed = [HardPair(*pair) for pair in pairs]
    columns = 3 if any(pair.directed for pair in listed) else 2
    with recorded(path), atomic_text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER[:columns])
        writer.writerows([pair.first, pair.second, int(pair.directed)][:columns] for pair in listed)
