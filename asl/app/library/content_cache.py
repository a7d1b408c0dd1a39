"""Cache of what was computed from pictures, by their content: one for all that a user runs.

A scan into a new folder, a detector and the service take thumbnails, features, local features and
verdicts from here instead of decoding, embedding and comparing known files again. Every key names
the content (SHA-256 of the encoded file, or of the thumbnail), what was computed, with which
settings and model, and the versions of the packages that computed it; every entry has a checksum.
What is damaged or missing is computed again.

``ASL_CACHE`` names another folder, or is ``off``; ``ASL_CACHE_GB`` is the limit, 4 by default.
Entries that nobody used for half a year are deleted, and the longest unused ones beyond the limit.
"""

from __future__ import annotations

import atexit
import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from asl.app.library.row_checksums import row_checksum
from asl.errors import UsageError
from asl.storage import ReadError, WriteError, cache_folder, database_errors, open_database

LIMIT_VARIABLE = "ASL_CACHE_GB"
FILE = "contents.db"
DEFAULT_GB = 4.0
PICTURE = "picture"  # start of the kind of thumbnails
MOST_DAYS = 180  # without use
_FREED = 0.9  # of the limit that is left after entries were deleted for it
_KEYS_PER_STATEMENT = 500
_SECONDS_PER_DAY = 86_400
_REMEDY = "run `asl cache --empty`"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS contents (
  number INTEGER PRIMARY KEY, digest TEXT NOT NULL, kind TEXT NOT NULL, value BLOB NOT NULL,
  crc INTEGER NOT NULL, used INTEGER NOT NULL, UNIQUE (digest, kind));
CREATE INDEX IF NOT EXISTS contents_used ON contents (used);
"""


@dataclass(frozen=True)
class CacheFacts:
    """State of a cache.

    Attributes:
        entries: number of them.
        pictures: number of thumbnails among them.
        bytes: size of the file.
    """

    entries: int
    pictures: int
    bytes: int


def cache_limit() -> int:
    """Return the limit in bytes.

    Raises:
        UsageError: the variable is no number above 0.
    """
    given = os.environ.get(LIMIT_VARIABLE, "") or str(DEFAULT_GB)
    try:
        limit = float(given)
    except ValueError:
        limit = math.nan
    if not 0 < limit < math.inf:
        raise UsageError(f"{LIMIT_VARIABLE}: must be a number of gigabytes above 0, got {given!r}")
    return int(limit * 1e9)


def open_cache() -> ContentCache | None:
    """Open the user's cache, once in a process; None where it is off or cannot be used.

    Raises:
        UsageError: the limit is no number.
    """
    folder = cache_folder()
    limit = cache_limit()
    if folder is None:
        return None
    return _opened(folder / FILE, limit)


@lru_cache
def _opened(path: Path, limit: int) -> ContentCache | None:
    with suppress(ReadError, WriteError, OSError):
        cache = ContentCache(path, limit=limit)
        atexit.register(cache.close)
        return cache
    return None


class ContentCache:
    """Entries (content, kind) -> bytes in one SQLite file; safe for several threads and processes.

    A cache that fails (a full disk, a damaged file) has no entries from then on; nobody else fails
    for it.
    """

    def __init__(self, path: Path, *, limit: int, replace: bool = True) -> None:
        """Open a cache, or create it.

        Args:
            path: SQLite file; nobody else may read the folder that is created for it.
            limit: in bytes.
            replace: replace a file that is damaged.

        Raises:
            OSError: the folder cannot be created.
            ReadError: the file cannot be opened.
            WriteError: it cannot be written.
        """
        self.path, self.limit = path, limit
        self._lock = threading.RLock()
        self._used: set[tuple[str, str]] = set()
        self._grown = False
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._db = self._open()
        except ReadError as error:
            # A file that is locked or out of reach is no damaged one.
            if not replace or isinstance(error.__cause__, sqlite3.OperationalError):
                raise
            delete_cache(path)
            self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        database = open_database(self.path, remedy=_REMEDY)
        try:
            with database_errors(self.path, remedy=_REMEDY):
                database.execute("PRAGMA auto_vacuum=INCREMENTAL")  # before the first table
                database.execute("PRAGMA journal_mode=WAL")
                database.execute("PRAGMA synchronous=NORMAL")
                database.executescript(_SCHEMA)
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Ignore errors of the file in the block: what it cannot give is computed again."""
        with self._lock, suppress(sqlite3.Error):
            yield

    def get(self, kind: str, digests: Sequence[str]) -> dict[str, bytes]:
        """Return the entries of some contents; missing and damaged ones are left out."""
        found: dict[str, bytes] = {}
        damaged: list[str] = []
        with self._quietly():
            for start in range(0, len(digests), _KEYS_PER_STATEMENT):
                chunk = digests[start : start + _KEYS_PER_STATEMENT]
                rows = self._db.execute(
                    "SELECT digest, value, crc FROM contents WHERE kind = ? AND digest IN "
                    f"({','.join('?' * len(chunk))})",
                    (kind, *chunk),
                ).fetchall()
                for digest, value, crc in rows:
                    if isinstance(value, bytes) and row_checksum(digest, kind, value) == crc:
                        found[digest] = value
                    else:
                        damaged.append(digest)
            self._used.update((digest, kind) for digest in found)
        self._delete(kind, damaged)
        return found

    def put(self, kind: str, entries: Iterable[tuple[str, bytes]]) -> None:
        """Add or replace the entries of some contents, in one transaction."""
        today = _today()
        rows = [
            (digest, kind, value, row_checksum(digest, kind, value), today)
            for digest, value in entries
        ]
        if not rows:
            return
        with self._quietly(), self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO contents (digest, kind, value, crc, used) "
                "VALUES (?, ?, ?, ?, ?)",
                rows,
            )
            self._grown = True

    def _delete(self, kind: str, digests: Sequence[str]) -> None:
        with self._quietly(), self._db:
            self._db.executemany(
                "DELETE FROM contents WHERE digest = ? AND kind = ?",
                [(digest, kind) for digest in digests],
            )

    def tidy(self) -> None:
        """Note what was used, and keep to the limits of size and age."""
        today = _today()
        with self._quietly(), self._db:
            self._db.executemany(
                "UPDATE contents SET used = ? WHERE digest = ? AND kind = ? AND used < ?",
                [(today, digest, kind, today) for digest, kind in self._used],
            )
            self._used.clear()
            if self._grown:
                self._db.execute("DELETE FROM contents WHERE used < ?", (today - MOST_DAYS,))
        if self._grown:
            with self._quietly():
                self._shrink()
            self._grown = False

    def _shrink(self) -> None:
        """Delete the longest unused entries beyond the limit, and return their space."""
        if self._stored() > self.limit:
            excess = self._stored() - int(_FREED * self.limit)
            with self._db:
                numbers = []
                for number, size in self._db.execute(
                    "SELECT number, length(value) FROM contents ORDER BY used, number"
                ):
                    numbers.append((number,))
                    excess -= size
                    if excess <= 0:
                        break
                self._db.executemany("DELETE FROM contents WHERE number = ?", numbers)
        self._db.executescript("PRAGMA incremental_vacuum")

    def _stored(self) -> int:
        """Return the bytes of the pages in use."""
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def empty(self) -> None:
        """Delete all entries, for other processes, too.

        Raises:
            ReadError: the file is damaged.
            WriteError: it cannot be written.
        """
        with self._lock, database_errors(self.path, remedy="delete it"):
            with self._db:
                self._db.execute("DELETE FROM contents")
            self._db.executescript("PRAGMA incremental_vacuum")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def facts(self) -> CacheFacts:
        """Count the entries.

        Raises:
            ReadError: the file is damaged.
        """
        with self._lock, database_errors(self.path, remedy=_REMEDY):
            entries, pictures = self._db.execute(
                "SELECT count(*), count(*) FILTER (WHERE kind LIKE ?) FROM contents",
                (f"{PICTURE} %",),
            ).fetchone()
            return CacheFacts(entries, pictures, self._stored())


def delete_cache(path: Path) -> None:
    """Delete the file of a cache; processes that have it open go on with what they hold.

    Raises:
        OSError: it cannot be deleted.
    """
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _today() -> int:
    """Return the number of the day."""
    return int(time.time()) // _SECONDS_PER_DAY
