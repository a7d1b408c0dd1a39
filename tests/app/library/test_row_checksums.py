"""A row of a library that changed is damaged; rows of earlier versions have no checksum."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from asl.app.library.facts import Facts
from asl.app.library.image_store import ImageStore
from asl.app.library.records import Name, Record
from asl.app.library.row_checksums import checked_rows, row_checksum
from asl.app.library.thumbnails import ThumbnailFile
from asl.storage import ReadError


def test_type_and_length_of_a_value_count() -> None:
    values = [("ab", "c"), ("a", "bc"), (b"ab", "c"), (1, "c"), ("1", "c"), (None, "c"), ("", "c")]
    assert len({row_checksum(*row) for row in values}) == len(values)
    assert list(checked_rows([("a", 1, row_checksum("a", 1)), ("b", 2, None)], "f")) == [
        ("a", 1),
        ("b", 2),
    ]
    with pytest.raises(ReadError, match=r"f: damaged \(the checksum of a row differs, 'a'\); "):
        list(checked_rows([("a", 2, row_checksum("a", 1))], "f"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with closing(ImageStore(tmp_path / "l.sqlite", model="m", dim=2)) as store:
        feature, regions = np.ones(2, np.float32), np.ones((3, 2), np.float32)
        record = Record("d", Facts(8, 8, 99), feature, b"thumbnail", regions=regions)
        store.put([record], [Name("photo", "d")], regions="coarse")
        store.put_verdicts("v", [("d", "d", "{}")])
    return tmp_path / "l.sqlite"


@pytest.mark.parametrize(
    ("change", "read"),
    [
        ("UPDATE images SET feature = zeroblob(8)", "features"),
        ("UPDATE images SET facts = '{}'", "facts"),
        ("UPDATE images SET picture = x'00'", "thumbnail"),
        ("UPDATE parts SET features = zeroblob(24)", "regions"),
        ("UPDATE names SET digest = 'e'", "names"),
        ("UPDATE verdicts SET verdict = '[]'", "verdicts"),
    ],
)
def test_every_reader_compares(path: Path, change: str, read: str) -> None:
    readers = {
        "features": lambda store: store.features(["d"]),
        "facts": lambda store: store.facts(["d"]),
        "thumbnail": lambda store: ThumbnailFile(path)("d"),
        "regions": lambda store: store.region_features("coarse", ["d"]),
        "names": lambda store: store.names(),
        "verdicts": lambda store: store.verdicts("v", [("d", "d")]),
    }
    with closing(ImageStore(path, model="m", dim=2)) as store:
        store.check()
        readers[read](store)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(change)
    with closing(ImageStore(path, model="m", dim=2)) as store:
        with pytest.raises(ReadError, match=r"l\.sqlite: damaged \(the checksum of a row differs"):
            readers[read](store)
        with pytest.raises(ReadError, match="the checksum of a row differs"):
            store.check()


def test_a_store_of_an_earlier_version_is_opened_and_gets_checksums(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for table in ("images", "names", "parts", "verdicts"):
            database.execute(f"ALTER TABLE {table} DROP COLUMN crc")
        database.execute("ALTER TABLE images DROP COLUMN feature_crc")
        database.execute("ALTER TABLE images DROP COLUMN picture_crc")
    with closing(ImageStore(path, model="m", dim=2)) as store:
        assert store.names() == [Name("photo", "d")]
        store.put([], [Name("other", "d")])
        store.check()
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT name, crc IS NULL FROM names ORDER BY name").fetchall()
    assert rows == [("other", 0), ("photo", 1)]


def test_what_is_no_text_is_damaged_also_where_the_checksum_is_lost(path: Path) -> None:
    with pytest.raises(ReadError, match="damaged"):
        list(checked_rows([(b"a", 1, None)], "f"))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE verdicts SET verdict = x'7b7d', crc = NULL")
    refused = pytest.raises(ReadError, match=r"l\.sqlite: damaged \(a verdict is no text\)")
    with closing(ImageStore(path, model="m", dim=2)) as store, refused:
        store.verdicts("v", [("d", "d")])
