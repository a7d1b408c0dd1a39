"""Read an image store on disk without opening it for changes, also from other processes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from asl.app.library.row_checksums import checked_rows
from asl.storage import database_errors, open_database

STORE_REMEDY = "delete it: it is built again from the images"


class StoreFile:
    """Read-only connection to the SQLite file of a store; safe to use from several threads.

    The file is opened on first use; a pickled copy opens it again in the other process.
    """

    def __init__(self, path: Path) -> None:
        """Set the store's SQLite file."""
        self.path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self.path,)

    def rows(self, sql: str, values: Sequence[object]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a statement whose last column is the checksum of the others.

        Raises:
            AslError: the file cannot be read, or is damaged.
        """
        with self._lock:
            if self._db is None:
                self._db = open_database(self.path, remedy=STORE_REMEDY, existing=True)
            with database_errors(self.path, remedy=STORE_REMEDY):
                rows = self._db.execute(sql, values).fetchall()
        return checked_rows(rows, self.path)

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None
