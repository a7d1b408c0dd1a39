"""SQLite store of known images: names, embeddings, thumbnails, local features, cached verdicts.

Contents are keyed by the SHA-256 of the encoded file, so that a moved or copied file is not
embedded again. Names point at contents: paths in a scan, names of references in a detector. Every
change is one transaction, flushed to disk before it is acknowledged. Every row has a checksum
(:mod:`asl.app.library.row_checksums`), which is compared whenever the row is read.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from asl.app.library.facts import Facts
from asl.app.library.records import Name, Record
from asl.app.library.row_checksums import (
    REMEDY,
    add_checksum_columns,
    check_database,
    checked_rows,
    row_checksum,
)
from asl.counts import counted
from asl.model_names import other_model
from asl.storage import ReadError, atomic_path, database_errors, open_database, read_errors
from asl.storage.wanted_paths import make_folder
from asl.types import F32, AslError

FORMAT = "asl-images-1"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS images (
  digest TEXT PRIMARY KEY, facts TEXT NOT NULL, feature BLOB, picture BLOB, failure TEXT,
  crc INTEGER, feature_crc INTEGER, picture_crc INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names (
  number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
  digest TEXT NOT NULL, label TEXT NOT NULL,
  size INTEGER NOT NULL, changed INTEGER NOT NULL, path TEXT NOT NULL DEFAULT '', crc INTEGER);
CREATE INDEX IF NOT EXISTS names_digest ON names (digest);
CREATE TABLE IF NOT EXISTS parts (
  digest TEXT NOT NULL, regions TEXT NOT NULL, features BLOB NOT NULL, crc INTEGER,
  PRIMARY KEY (digest, regions)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS verdicts (
  first TEXT NOT NULL, second TEXT NOT NULL, judge TEXT NOT NULL, verdict TEXT NOT NULL,
  crc INTEGER,
  PRIMARY KEY (first, second, judge)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS verdicts_second ON verdicts (second);
"""
MOST_SQL_VALUES = 500  # in one statement
_NAME_COLUMNS = "name, digest, label, size, changed, path"
_SELECT_PARTS = (
    "SELECT digest, regions, features, crc FROM parts WHERE digest IN (?) AND regions = ?"
)
_SELECT_PICTURE = "SELECT digest, picture, picture_crc FROM images WHERE digest = ?"


class ImageStore:
    """Store on disk or in memory; safe to use from several threads."""

    def __init__(self, path: str | Path | None, *, model: str, dim: int) -> None:
        """Open a store, or create it.

        Args:
            path: SQLite file; None keeps everything in memory.
            model: hash of the model that made the features.
            dim: D.

        Raises:
            AslError: the file is no image store, or holds features of another model.
        """
        self.path = None if path is None else Path(path)
        self.dim, self.model = dim, model
        self._lock = threading.RLock()
        if self.path is not None:
            make_folder(self.path.parent)
        self._db = open_database(path or ":memory:", remedy=REMEDY)
        try:
            with database_errors(path or "memory", remedy=REMEDY):
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.executescript(_SCHEMA)
            self._add_columns()
            self._check({"format": FORMAT, "model": model, "dim": str(dim)})
        except AslError:
            self._db.close()
            raise

    def _add_columns(self) -> None:
        """Upgrade a store of an earlier version, without paths of names or checksums."""
        with self._write() as db:
            if not any(row[1] == "path" for row in db.execute("PRAGMA table_info(names)")):
                db.execute("ALTER TABLE names ADD COLUMN path TEXT NOT NULL DEFAULT ''")
            add_checksum_columns(db)

    def _check(self, expected: dict[str, str]) -> None:
        with self._write() as db:
            for key, value in expected.items():
                db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))
        stored = dict(self._all("SELECT key, value FROM meta"))
        for key, value in expected.items():
            if key == "model" and stored.get(key, "") != value:
                text = other_model(stored.get(key, ""), value, otherwise="choose another place")
                raise AslError(f"{self.path}: {text}")
            if stored.get(key) != value:
                raise AslError(
                    f"{self.path}: was made with another {key} ({stored.get(key)}, now {value}); "
                    "choose another place or delete it"
                )

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock, database_errors(self.path or "memory", remedy=REMEDY), self._db:
            yield self._db

    def _all(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._lock, database_errors(self.path or "memory", remedy=REMEDY):
            return self._db.execute(sql, values).fetchall()

    def _checked(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement whose last column is the checksum of the others, and compare them."""
        return list(checked_rows(self._all(sql, values), self.path))

    def check(self) -> None:
        """Check the whole file.

        Raises:
            ReadError: a page or a row is damaged.
        """
        with self._lock:
            check_database(self._db, self.path or "memory")

    def _chunked(
        self, sql: str, keys: Sequence[str], more: Sequence[str] = ()
    ) -> Iterator[tuple[Any, ...]]:
        """Run a statement for many keys, some at a time; its last column is the checksum.

        Args:
            sql: with ``(?)`` in place of the keys.
            keys: values of ``(?)``.
            more: values of the placeholders after it.
        """
        for start in range(0, len(keys), MOST_SQL_VALUES):
            chunk = keys[start : start + MOST_SQL_VALUES]
            placeholders = f"({','.join('?' * len(chunk))})"
            yield from self._checked(sql.replace("(?)", placeholders), (*chunk, *more))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def put(self, records: Iterable[Record], names: Iterable[Name], *, regions: str = "") -> None:
        """Add contents with their regions and point names at them, in one transaction.

        A known content stays as it is. A content that loses its last name stays until
        :meth:`sweep`: it may be about to get another one.

        Args:
            records: contents.
            names: that point at them, or at contents in the store.
            regions: key of the set of regions of the records
                (:func:`asl.features.regions.regions_key`).
        """
        with self._write() as db:
            for record in records:
                blob = None if record.feature is None else _blob(record.feature)
                facts, picture = record.facts.to_json(), record.thumbnail
                checksums = (
                    row_checksum(record.digest, facts, record.failure),
                    row_checksum(record.digest, blob),
                    row_checksum(record.digest, picture),
                )
                db.execute(
                    "INSERT OR IGNORE INTO images (digest, facts, feature, picture, failure, crc, "
                    "feature_crc, picture_crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (record.digest, facts, blob, picture, record.failure, *checksums),
                )
                if record.regions is not None:
                    _put_parts(db, [(record.digest, regions, _blob(record.regions))])
            for name in names:
                row = (name.name, name.digest, name.label, name.size, name.changed, name.path)
                db.execute(
                    f"INSERT INTO names ({_NAME_COLUMNS}, crc) VALUES (?, ?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT (name) DO UPDATE SET digest=excluded.digest, "
                    "label=excluded.label, size=excluded.size, changed=excluded.changed, "
                    "path=excluded.path, crc=excluded.crc",
                    (*row, row_checksum(*row)),
                )

    def sweep(self, among: Sequence[str] | None = None) -> None:
        """Delete contents without a name, in one transaction.

        Args:
            among: digests to check; None for all.
        """
        with self._write() as db:
            if among is None:
                named = "SELECT 1 FROM names WHERE names.digest = images.digest"
                rows = db.execute(f"SELECT digest FROM images WHERE NOT EXISTS ({named})")
                among = [digest for (digest,) in rows.fetchall()]
            for digest in among:
                _delete_if_unnamed(db, digest)

    def names(self) -> list[Name]:
        """Return every name, in the order of their first appearance."""
        rows = self._checked(f"SELECT {_NAME_COLUMNS}, crc FROM names ORDER BY number")
        return [self._name(row) for row in rows]

    def find(self, name: str) -> Name | None:
        """Return one name; None if it is unknown."""
        rows = self._checked(f"SELECT {_NAME_COLUMNS}, crc FROM names WHERE name = ?", (name,))
        return self._name(rows[0]) if rows else None

    def _name(self, row: tuple[Any, ...]) -> Name:
        if not all(isinstance(text, str) for text in (*row[:3], row[5])):
            raise ReadError(f"{self.path}: damaged (a name is {row[:3]!r:.80}); {REMEDY}")
        return Name(*row)

    def remove(self, names: Sequence[str]) -> int:
        """Delete names and the contents left without one; return the number of deleted names."""
        with self._write() as db:
            count = 0
            for name in names:
                row = db.execute("SELECT digest FROM names WHERE name = ?", (name,)).fetchone()
                count += db.execute("DELETE FROM names WHERE name = ?", (name,)).rowcount
                if row:
                    _delete_if_unnamed(db, *row)
            return count

    def known(self, digest: str) -> bool:
        """Check that the store has a content, usable or not."""
        return bool(self._all("SELECT 1 FROM images WHERE digest = ?", (digest,)))

    def known_among(self, digests: Sequence[str]) -> set[str]:
        """Return those of some contents that the store has, usable or not."""
        rows = self._chunked("SELECT digest, NULL FROM images WHERE digest IN (?)", digests)
        return {digest for (digest,) in rows}

    def facts(self, digests: Sequence[str]) -> dict[str, Facts]:
        """Return digest -> facts of the file."""
        sql = "SELECT digest, facts, failure, crc FROM images WHERE digest IN (?)"
        with read_errors(self.path or "memory", REMEDY):
            rows = self._chunked(sql, digests)
            return {digest: Facts.from_json(text) for digest, text, _ in rows}

    def failures(self, digests: Sequence[str]) -> dict[str, str]:
        """Return digest -> reason for those of some contents that are no usable image."""
        columns = "digest, facts, failure, crc"
        sql = f"SELECT {columns} FROM images WHERE feature IS NULL AND digest IN (?)"
        return {digest: failure for digest, _, failure in self._chunked(sql, digests)}

    def features(self, digests: Sequence[str]) -> F32:
        """Return the un-normalised features, float32 ``[len(digests), D]``.

        Raises:
            AslError: a content has none.
        """
        result = np.empty((len(digests), self.dim), dtype=np.float32)
        rows_of: dict[str, list[int]] = {}
        for row, digest in enumerate(digests):
            rows_of.setdefault(digest, []).append(row)
        missing = set(rows_of)
        sql = "SELECT digest, feature, feature_crc FROM images WHERE digest IN (?)"
        for digest, blob in self._chunked(sql, list(rows_of)):
            if blob is not None and len(blob) == 4 * self.dim:
                result[rows_of[digest]] = np.frombuffer(blob, dtype=np.float32)
                missing.discard(digest)
        self._refuse_missing(missing, "features")
        return result

    def _refuse_missing(self, missing: set[str], kind: str) -> None:
        if missing:
            raise AslError(
                f"{self.path}: has no {kind} of {counted(len(missing), 'content')}, e.g. "
                f"{min(missing)[:16]}; delete the file and add the images again"
            )

    def put_regions(self, regions: str, features: Iterable[tuple[str, F32]]) -> None:
        """Store the features ``[R, D]`` of regions of some contents under a key."""
        with self._write() as db:
            _put_parts(db, [(digest, regions, _blob(of)) for digest, of in features])

    def without_regions(self, regions: str, digests: Sequence[str]) -> list[str]:
        """Return those of some contents that lack features under a key, each once."""
        unique = list(dict.fromkeys(digests))
        sql = "SELECT digest, NULL FROM parts WHERE digest IN (?) AND regions = ?"
        stored = {digest for (digest,) in self._chunked(sql, unique, (regions,))}
        return [digest for digest in unique if digest not in stored]

    def region_features(self, regions: str, digests: Sequence[str]) -> F32:
        """Return the un-normalised features of regions, float32 ``[R, len(digests), D]``.

        Raises:
            AslError: a content has none.
        """
        with read_errors(self.path or "memory", REMEDY):
            features: dict[str, F32] = {
                digest: np.frombuffer(blob, dtype=np.float32).reshape(-1, self.dim)
                for digest, _, blob in self._chunked(
                    _SELECT_PARTS, list(dict.fromkeys(digests)), (regions,)
                )
            }
        self._refuse_missing(set(digests) - set(features), "regions")
        return np.stack([features[digest] for digest in digests], axis=1)

    def put_local_features(self, key: str, features: Iterable[tuple[str, bytes]]) -> None:
        """Store packed local features of some contents; ``key`` names the extractor."""
        with self._write() as db:
            _put_parts(db, [(digest, key, blob) for digest, blob in features])

    def local_features(self, key: str, digests: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Yield (digest, packed local features) in any order; missing ones are left out."""
        for digest, _, blob in self._chunked(_SELECT_PARTS, digests, (key,)):
            yield digest, blob

    def thumbnail(self, digest: str) -> bytes:
        """Return the JPEG thumbnail of a content, empty bytes without one."""
        rows = self._checked(_SELECT_PICTURE, (digest,))
        return bytes(rows[0][1]) if rows and rows[0][1] else b""

    def verdicts(
        self, verifier: str, pairs: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], str]:
        """Return the cached verdicts of a verifier on some pairs of digests, as JSON."""
        cached: dict[tuple[str, str], str] = {}
        ordered = sorted(pairs)  # as in the file
        for start in range(0, len(ordered), MOST_SQL_VALUES):
            chunk = ordered[start : start + MOST_SQL_VALUES]
            values = ",".join(["(?, ?)"] * len(chunk))
            # CROSS JOIN: look up the few pairs in the many verdicts, never the other way round.
            rows = self._checked(
                f"WITH pairs (a, b) AS (VALUES {values}) SELECT first, second, judge, verdict, crc "
                "FROM pairs CROSS JOIN verdicts ON first = a AND second = b AND judge = ?",
                [*(digest for pair in chunk for digest in pair), verifier],
            )
            if not all(isinstance(text, str) for row in rows for text in row):
                raise ReadError(f"{self.path}: damaged (a verdict is no text); {REMEDY}")
            cached.update({(first, second): text for first, second, _, text in rows})
        return cached

    def keep_verdicts_of(self, verifier: str) -> None:
        """Delete the verdicts of every other verifier, once after the verifier has changed."""
        if self._all("SELECT 1 FROM meta WHERE key = 'judge' AND value = ?", (verifier,)):
            return
        with self._write() as db:
            db.execute("DELETE FROM verdicts WHERE judge != ?", (verifier,))
            db.execute("INSERT OR REPLACE INTO meta VALUES ('judge', ?)", (verifier,))

    def put_verdicts(self, verifier: str, verdicts: Iterable[tuple[str, str, str]]) -> None:
        """Store (first digest, second digest, verdict as JSON)."""
        with self._write() as db:
            rows = [(first, second, verifier, text) for first, second, text in verdicts]
            db.executemany(
                "INSERT OR REPLACE INTO verdicts (first, second, judge, verdict, crc) "
                "VALUES (?, ?, ?, ?, ?)",
                [(*row, row_checksum(*row)) for row in rows],
            )

    def copy_to(self, path: Path) -> None:
        """Write the whole store to a new file.

        Raises:
            AslError: the file exists.
        """
        if path.exists():
            raise AslError(f"{path}: is there already; choose another folder")
        with atomic_path(path) as temporary:
            target = open_database(temporary, remedy=REMEDY)
            try:
                with self._lock, database_errors(path, remedy=REMEDY):
                    self._db.backup(target)
            finally:
                target.close()


def _put_parts(db: sqlite3.Connection, rows: Iterable[tuple[str, str, bytes]]) -> None:
    sql = "INSERT OR REPLACE INTO parts (digest, regions, features, crc) VALUES (?, ?, ?, ?)"
    db.executemany(sql, [(*row, row_checksum(*row)) for row in rows])


def _blob(features: F32) -> bytes:
    return np.ascontiguousarray(features, np.float32).tobytes()


def _delete_if_unnamed(db: sqlite3.Connection, digest: str) -> None:
    if not db.execute("SELECT 1 FROM names WHERE digest = ?", (digest,)).fetchone():
        db.execute("DELETE FROM images WHERE digest = ?", (digest,))
        db.execute("DELETE FROM parts WHERE digest = ?", (digest,))
        db.execute("DELETE FROM verdicts WHERE first = ? OR second = ?", (digest, digest))
