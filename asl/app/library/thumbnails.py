"""Read thumbnails of a store on disk, also from other processes."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Self

from asl.app.library.row_checksums import checked_rows
from asl.storage import database_errors, open_database
from asl.types import AslError

STORE_REMEDY = "delete it: it is built again from the images"
_SELECT = "SELECT digest, picture, picture_crc FROM images WHERE digest = ?"


class ThumbnailFile:
    """Digest -> thumbnail (JPEG bytes), read-only.

    The file is opened on first use; a pickled copy opens it again in the other process.
    """

    def __init__(self, path: Path) -> None:
        """Set the store's SQLite file."""
        self.path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self.path,)

    def __call__(self, digest: str) -> bytes:
        """Return the thumbnail of a content.

        Raises:
            AslError: the store has none, or is damaged.
        """
        with self._lock:
            if self._db is None:
                self._db = open_database(self.path, remedy=STORE_REMEDY, existing=True)
            with database_errors(self.path, remedy=STORE_REMEDY):
                rows = self._db.execute(_SELECT, (digest,)).fetchall()
        for _, picture in checked_rows(rows, self.path):
            if picture:
                return bytes(picture)
        raise AslError(f"{self.path}: has no thumbnail of content {digest[:16]}")

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None
