from __future__ import annotations

import pickle
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from asl.app.library.facts import Facts
from asl.app.library.image_store import ImageStore
from asl.app.library.local_feature_store import Thumbnails, extract_missing
from asl.app.library.records import Name, Record
from asl.app.library.thumbnails import ThumbnailFile
from asl.types import AslError
from tests.app.conftest import encode, textured


class Counted(sqlite3.Connection):
    """Connections that are open."""

    open = 0

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        Counted.open += 1

    def close(self) -> None:
        super().close()
        Counted.open -= 1


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    store = ImageStore(tmp_path / "store.sqlite", model="m", dim=2)
    feature = np.ones(2, np.float32)
    records = [
        Record(f"d{n}", Facts(80, 60, 1), feature, encode(textured(n, 60, 80))) for n in range(5)
    ]
    store.put(records, [Name(record.digest, record.digest) for record in records])
    return store


def test_many_pictures_take_one_connection_which_is_closed(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, opened = sqlite3.connect, []

    def counted(*arguments: object, **options: object) -> sqlite3.Connection:
        opened.append(arguments)
        return connect(*arguments, factory=Counted, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(sqlite3, "connect", counted)
    assert store.path
    extract_missing(
        store, store.path, [f"d{n}" for n in range(5)], workers=1, progress=lambda *_: None
    )
    assert (len(opened), Counted.open) == (1, 0)
    file = ThumbnailFile(store.path)
    assert len(opened) == 1, "opened when it is needed"
    expected = store.thumbnail("d1")
    assert file("d1") == expected
    others: list[bytes] = []
    thread = threading.Thread(target=lambda: others.append(file("d1")))
    thread.start()
    thread.join()
    copy = pickle.loads(pickle.dumps(Thumbnails(file)))
    assert len(opened) == 2, "a copy shares nothing with it, and opens nothing before it is asked"
    assert others == [copy.file("d1")] == [expected]
    file.close()
    copy.file.close()
    assert Counted.open == 0
    assert file("d2") == store.thumbnail("d2"), "opened again"
    file.close()
    with pytest.raises(AslError, match="no thumbnail of content nobody"):
        copy.file("nobody")
    copy.file.close()
