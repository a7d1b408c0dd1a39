"""Images that are known, in one SQLite file: what they are called, their feature, a small picture, what they said.

An image is its content: rows are keyed by the SHA-256 of the encoded file, so that a moved or
copied file is not
embedded again. Names point at contents: paths in a scan, names of references in a detector. Every
change is one transaction, flushed to the disk before it is acknowledged; killed at any moment, the
store holds all that was.
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
from asl.types import F32, AslError

FORMAT = "asl-images-1"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS images (
  digest TEXT PRIMARY KEY, facts TEXT NOT NULL, feature BLOB, picture BLOB, failure TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names (
  number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, digest TEXT NOT NULL, label TEXT NOT NULL,
  size INTEGER NOT NULL, changed INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS names_digest ON names (digest);
CREATE TABLE IF NOT EXISTS parts (
  digest TEXT NOT NULL, regions TEXT NOT NULL, features BLOB NOT NULL, PRIMARY KEY (digest, regions)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS verdicts (
  first TEXT NOT NULL, second TEXT NOT NULL, judge TEXT NOT NULL, verdict TEXT NOT NULL,
  PRIMARY KEY (first, second, judge)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS verdicts_second ON verdicts (second);
"""
_MANY = 500  # values in one SQL statement


class ImageStore:
    """A store on disk, or in memory. Safe to use from several threads."""

    def __init__(self, path: str | Path | None, *, model: str, dim: int) -> None:
        """Open a store, or make it.

        Args:
            path: the SQLite file; None keeps everything in memory.
            model: hash of the model whose features these are.
            dim: D.

        Raises:
            AslError: the file is something else, or holds features of another model.
        """
        self.path = None if path is None else Path(path)
        self.dim, self.model = dim, model
        self._lock = threading.RLock()
        try:
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                ":memory:" if path is None else str(path), check_same_thread=False, timeout=30
            )
        except (OSError, sqlite3.Error) as error:
            raise AslError(f"{path}: cannot be opened or made ({error})") from error
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            self._check({"format": FORMAT, "model": model, "dim": str(dim)})
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise AslError(
                f"{path}: is no store of images ({error}); choose another file or delete it"
            ) from error
        except AslError:
            self._db.close()
            raise

    def _check(self, wanted: dict[str, str]) -> None:
        with self._write() as db:
            for key, value in wanted.items():
                db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))
        found = dict(self._all("SELECT key, value FROM meta"))
        for key, value in wanted.items():
            if found.get(key) != value:
                raise AslError(
                    f"{self.path}: was made with another {key} ({found.get(key)}, now {value}); "
                    "choose another place or delete it"
                )

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._db:
            yield self._db

    def _all(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _chunked(
        self, sql: str, keys: Sequence[str], more: Sequence[str] = ()
    ) -> Iterator[tuple[Any, ...]]:
        """Rows of ``sql``, ``(?)`` standing for the keys, asked for some at a time; ``more`` values follow them."""
        for start in range(0, len(keys), _MANY):
            part = keys[start : start + _MANY]
            yield from self._all(
                sql.replace("(?)", f"({','.join('?' * len(part))})"), (*part, *more)
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def put(self, records: Iterable[Record], names: Iterable[Name], *, regions: str = "") -> None:
        """Add contents, with their parts, and point names at them, in one transaction; a known content stays as it is.

        What a name pointed at before stays until :meth:`sweep`: it may be on its way to another
        name.

        Args:
            records: contents.
            names: that point at them, or at contents that are known.
            regions: key of the regions that the records' parts are of
                (:func:`asl.features.regions.regions_key`).
        """
        with self._write() as db:
            for record in records:
                blob = None if record.feature is None else _blob(record.feature)
                row = (record.digest, record.facts.to_json(), blob, record.picture, record.failure)
                db.execute("INSERT OR IGNORE INTO images VALUES (?, ?, ?, ?, ?)", row)
                if record.parts is not None:
                    kept = (record.digest, regions, _blob(record.parts))
                    db.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", kept)
            for name in names:
                db.execute(
                    "INSERT INTO names (name, digest, label, size, changed) VALUES (?, ?, ?, ?, ?) "
                    "ON CONFLICT (name) DO UPDATE SET digest=excluded.digest, label=excluded.label, "
                    "size=excluded.size, changed=excluded.changed",
                    (name.name, name.digest, name.label, name.size, name.changed),
                )

    def sweep(self, among: Sequence[str] | None = None) -> None:
        """Forget the contents that no name points at, of some or of all, in one transaction."""
        with self._write() as db:
            if among is None:
                named = "SELECT 1 FROM names WHERE names.digest = images.digest"
                found = db.execute(
                    f"SELECT digest FROM images WHERE NOT EXISTS ({named})"
                ).fetchall()
                among = [digest for (digest,) in found]
            for digest in among:
                _forget_unnamed(db, digest)

    def names(self) -> list[Name]:
        """Every name, in the order of their first appearance."""
        return [
            Name(*row)
            for row in self._all(
                "SELECT name, digest, label, size, changed FROM names ORDER BY number"
            )
        ]

    def find(self, name: str) -> Name | None:
        """One name."""
        rows = self._all(
            "SELECT name, digest, label, size, changed FROM names WHERE name = ?", (name,)
        )
        return Name(*rows[0]) if rows else None

    def remove(self, names: Sequence[str]) -> int:
        """Forget names, and the contents that no name points at any more; returns how many names there were."""
        with self._write() as db:
            count = 0
            for name in names:
                found = db.execute("SELECT digest FROM names WHERE name = ?", (name,)).fetchone()
                count += db.execute("DELETE FROM names WHERE name = ?", (name,)).rowcount
                if found:
                    _forget_unnamed(db, *found)
            return count

    def known(self, digest: str) -> bool:
        """Whether a content is there, usable or not."""
        return bool(self._all("SELECT 1 FROM images WHERE digest = ?", (digest,)))

    def known_among(self, digests: Sequence[str]) -> set[str]:
        """Those of some contents that are there, usable or not."""
        return {
            digest
            for (digest,) in self._chunked("SELECT digest FROM images WHERE digest IN (?)", digests)
        }

    def facts(self, digests: Sequence[str]) -> dict[str, Facts]:
        """Content -> what the file says."""
        rows = self._chunked("SELECT digest, facts FROM images WHERE digest IN (?)", digests)
        return {digest: Facts.from_json(text) for digest, text in rows}

    def failures(self, digests: Sequence[str]) -> dict[str, str]:
        """Content -> why it is no usable image, for those that are none."""
        sql = "SELECT digest, failure FROM images WHERE feature IS NULL AND digest IN (?)"
        return dict(self._chunked(sql, digests))

    def features(self, digests: Sequence[str]) -> F32:
        """float32 ``[len(digests), D]`` in their order.

        Raises:
            AslError: a content that has none.
        """
        result = np.empty((len(digests), self.dim), dtype=np.float32)
        place: dict[str, list[int]] = {}
        for row, digest in enumerate(digests):
            place.setdefault(digest, []).append(row)
        missing = set(place)
        for digest, blob in self._chunked(
            "SELECT digest, feature FROM images WHERE digest IN (?)", list(place)
        ):
            if blob is not None and len(blob) == 4 * self.dim:
                result[place[digest]] = np.frombuffer(blob, dtype=np.float32)
                missing.discard(digest)
        if missing:
            raise AslError(
                f"{self.path}: has no feature of {len(missing)} content(s), e.g. {min(missing)[:16]}"
            )
        return result

    def put_parts(self, regions: str, features: Iterable[tuple[str, F32]]) -> None:
        """Keep the features ``[R, D]`` of the parts of some contents; ``regions`` is their key."""
        with self._write() as db:
            rows = [(digest, regions, _blob(of)) for digest, of in features]
            db.executemany("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", rows)

    def without_parts(self, regions: str, digests: Sequence[str]) -> list[str]:
        """Those of some contents whose parts are not embedded yet, each once."""
        once = list(dict.fromkeys(digests))
        sql = "SELECT digest FROM parts WHERE digest IN (?) AND regions = ?"
        there = {digest for (digest,) in self._chunked(sql, once, (regions,))}
        return [digest for digest in once if digest not in there]

    def parts(self, regions: str, digests: Sequence[str]) -> F32:
        """float32 ``[R, len(digests), D]`` of the parts of contents, one at least.

        Raises:
            AslError: a content that has none.
        """
        sql = "SELECT digest, features FROM parts WHERE digest IN (?) AND regions = ?"
        found: dict[str, F32] = {
            digest: np.frombuffer(blob, dtype=np.float32).reshape(-1, self.dim)
            for digest, blob in self._chunked(sql, list(dict.fromkeys(digests)), (regions,))
        }
        missing = set(digests) - set(found)
        if missing:
            raise AslError(
                f"{self.path}: has no parts of {len(missing)} content(s), e.g. {min(missing)[:16]}"
            )
        return np.stack([found[digest] for digest in digests], axis=1)

    def put_local(self, key: str, features: Iterable[tuple[str, bytes]]) -> None:
        """Keep the packed local features of some contents; ``key`` says how they were found."""
        with self._write() as db:
            rows = [(digest, key, blob) for digest, blob in features]
            db.executemany("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", rows)

    def local(self, key: str, digests: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """(content, its packed local features), in any order; :meth:`without_parts` names those that have none."""
        yield from self._chunked(
            "SELECT digest, features FROM parts WHERE digest IN (?) AND regions = ?",
            digests,
            (key,),
        )

    def picture(self, digest: str) -> bytes:
        """The small JPEG of a content; empty where there is none."""
        rows = self._all("SELECT picture FROM images WHERE digest = ?", (digest,))
        return bytes(rows[0][0]) if rows and rows[0][0] else b""

    def verdicts(self, judge: str, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """(content, content) -> what that judge said, as text, of those pairs that it was asked about."""
        found: dict[tuple[str, str], str] = {}
        ordered = sorted(pairs)  # as they lie in the file
        for start in range(0, len(ordered), _MANY):
            part = ordered[start : start + _MANY]
            # CROSS JOIN: the few pairs are looked up in the many verdicts, never the other way
            # round.
            rows = self._all(
                f"WITH wanted (a, b) AS (VALUES {','.join(['(?, ?)'] * len(part))}) SELECT first, second, verdict "
                "FROM wanted CROSS JOIN verdicts ON first = a AND second = b AND judge = ?",
                [*(digest for pair in part for digest in pair), judge],
            )
            found.update({(first, second): text for first, second, text in rows})
        return found

    def keep_judge(self, judge: str) -> None:
        """Forget what every other judge said; looks at the verdicts only where the judge is another than last time."""
        if self._all("SELECT 1 FROM meta WHERE key = 'judge' AND value = ?", (judge,)):
            return
        with self._write() as db:
            db.execute("DELETE FROM verdicts WHERE judge != ?", (judge,))
            db.execute("INSERT OR REPLACE INTO meta VALUES ('judge', ?)", (judge,))

    def put_verdicts(self, judge: str, verdicts: Iterable[tuple[str, str, str]]) -> None:
        """Keep what a judge said of pairs of contents."""
        with self._write() as db:
            rows = [(first, second, judge, text) for first, second, text in verdicts]
            db.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?)", rows)

    def copy_to(self, path: Path) -> None:
        """Write the whole store to another file (which must not be there)."""
        if path.exists():
            raise AslError(f"{path}: is there already; choose another folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        target = sqlite3.connect(str(path))
        try:
            with self._lock:
                self._db.backup(target)
        finally:
            target.close()


def _blob(features: F32) -> bytes:
    return np.ascontiguousarray(features, np.float32).tobytes()


def _forget_unnamed(db: sqlite3.Connection, digest: str) -> None:
    """Forget a content, unless a name points at it."""
    if not db.execute("SELECT 1 FROM names WHERE digest = ?", (digest,)).fetchone():
        db.execute("DELETE FROM images WHERE digest = ?", (digest,))
        db.execute("DELETE FROM parts WHERE digest = ?", (digest,))
        db.execute("DELETE FROM verdicts WHERE first = ? OR second = ?", (digest, digest))
