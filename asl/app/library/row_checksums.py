"""Checksums of the rows of an image store: SQLite notices damaged pages, not damaged values."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from asl.storage import ReadError, database_errors

REMEDY = "choose another file, or delete it: it is built again from the images"
# Table -> (columns that are read together, column of their checksum).
CHECKED: dict[str, tuple[tuple[str, str], ...]] = {
    "images": (
        ("digest, facts, failure", "crc"),
        ("digest, feature", "feature_crc"),
        ("digest, picture", "picture_crc"),
    ),
    "names": (("name, digest, label, size, changed, path", "crc"),),
    "parts": (("digest, regions, features", "crc"),),
    "verdicts": (("first, second, judge, verdict", "crc"),),
}


def row_checksum(*values: object) -> int:
    """Return the CRC-32 of the values of a row, their types and lengths included.

    >>> row_checksum("ab", "c") == row_checksum("a", "bc")
    False
    """
    parts: list[bytes] = []
    for value in values:
        data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
        parts += [f"{type(value).__name__} {len(data)} ".encode(), data]
    return zlib.crc32(b"".join(parts))


def checked_rows(
    rows: Iterable[tuple[Any, ...]], path: str | Path | None
) -> Iterator[tuple[Any, ...]]:
    """Yield rows without their last column, the checksum of the others; 0.1.0 wrote none.

    Args:
        rows: of one of ``CHECKED``.
        path: of the file, for the message.

    Raises:
        ReadError: a row has changed since it was written.
    """
    for *values, crc in rows:
        # The first column is a key, and text.
        if not isinstance(values[0], str) or (crc is not None and crc != row_checksum(*values)):
            raise ReadError(
                f"{path}: damaged (the checksum of a row differs, {str(values[0])[:16]!r}); "
                f"{REMEDY}"
            )
        yield tuple(values)


def add_checksum_columns(database: sqlite3.Connection) -> None:
    """Upgrade the tables of an earlier version; its rows have no checksum."""
    for table, groups in CHECKED.items():
        present = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
        for _, column in groups:
            if column not in present:
                database.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER")


def check_database(database: sqlite3.Connection, path: str | Path) -> None:
    """Check the pages of a store and compare every row with its checksum.

    Raises:
        ReadError: something differs.
    """
    with database_errors(path, remedy=REMEDY):
        for (said,) in database.execute("PRAGMA integrity_check(1)").fetchall():
            if said != "ok":
                raise ReadError(f"{path}: damaged ({' '.join(str(said).split())}); {REMEDY}")
        for table, groups in CHECKED.items():
            present = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
            for columns, column in groups:
                if column in present:
                    rows = database.execute(f"SELECT {columns}, {column} FROM {table}")
                    for _ in checked_rows(rows, path):
                        pass
