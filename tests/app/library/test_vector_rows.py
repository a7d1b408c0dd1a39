"""Rows in mapped files: they outlive the process, also one that was killed, and a full disk."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from asl.app.inspection.inspect_path import inspect_path
from asl.app.library import vector_rows as module
from asl.app.library.vector_rows import MANIFEST, MappedRows, VectorRows
from asl.app.library.vectors import VectorCollection
from asl.types import AslError

DIM = 8


def digest(number: int) -> str:
    return f"{number:064x}"


class Library:
    """Keys, contents and features of a library, and a collection of them in a folder."""

    def __init__(self, folder: Path, *, regions: int) -> None:
        self.folder, self.regions = folder, regions
        self.features: dict[str, np.ndarray] = {}  # [1 + R, D] by key
        self.digests: dict[str, str] = {}
        self._rng = np.random.default_rng(3)

    def open(self, model: str = "m") -> VectorCollection:
        rows = MappedRows(self.folder, model=model, dim=DIM, regions=self.regions, key="k")
        return VectorCollection(DIM, regions=self.regions, engine="exact", rows=rows)

    def restore(self, collection: VectorCollection) -> list[str]:
        """Names of the references that had to be added again."""
        names = list(self.digests)
        lacking = [names[row] for row in collection.restore(names, list(self.digests.values()))]
        self._put(collection, lacking)
        return lacking

    def add(self, collection: VectorCollection, numbers: range) -> None:
        for number in numbers:
            self.features[f"k{number}"] = self._rng.normal(size=(1 + self.regions, DIM)).astype(
                "f4"
            )
            self.digests[f"k{number}"] = digest(number)
        self._put(collection, [f"k{number}" for number in numbers])

    def _put(self, collection: VectorCollection, names: list[str]) -> None:
        if names:
            features = np.stack([self.features[name] for name in names])
            digests = [self.digests[name] for name in names]
            parts = features[:, 1:] if self.regions else None
            collection.add(names, features[:, 0], parts, digests=digests)

    def remove(self, collection: VectorCollection, numbers: range) -> None:
        names = [f"k{number}" for number in numbers]
        collection.remove(names)
        for name in names:
            del self.features[name], self.digests[name]

    def assert_searched(self, collection: VectorCollection) -> None:
        assert len(collection) == len(self.features)
        for name, features in self.features.items():
            for part in features:
                query = part[None] / np.linalg.norm(part)
                view, rows = collection.nearest(query, 1)
                assert [view.keys[row] for row in rows] == [name]
                assert view.log_norms[rows[0]] == pytest.approx(
                    np.log(np.linalg.norm(features[0])), abs=1e-5
                )


@pytest.fixture(params=[0, 2])
def library(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Library:
    monkeypatch.setattr(module, "_COMMIT_ROWS", 100)
    return Library(tmp_path / "library-vectors", regions=request.param)


def test_rows_outlive_the_process(library: Library) -> None:
    collection = library.open()
    assert library.restore(collection) == []
    library.add(collection, range(20))
    library.add(collection, range(20, 300))
    before = collection.view()
    collection.close()
    again = library.open()
    assert library.restore(again) == []
    library.assert_searched(again)
    library.remove(again, range(5, 12))
    library.add(again, range(300, 330))
    library.assert_searched(again)
    again.close()
    last = library.open()
    assert library.restore(last) == []
    library.assert_searched(last)
    assert len(before) == 300
    (finding,) = inspect_path(library.folder)
    assert (finding.kind, finding.damage) == ("vectors of a library", "")


def test_a_killed_process_left_what_it_had_counted(library: Library) -> None:
    collection = library.open()
    library.add(collection, range(150))
    library.add(collection, range(150, 160))
    del collection
    again = library.open()
    assert library.restore(again) == [f"k{number}" for number in range(150, 160)]
    library.assert_searched(again)


def test_rows_that_are_gone_are_left_out_of_new_files(library: Library) -> None:
    collection = library.open()
    library.add(collection, range(700))
    view = collection.view()
    library.remove(collection, range(10, 500))
    library.add(collection, range(700, 703))
    library.assert_searched(collection)
    assert len(collection.view().keys) < 300
    assert view.vectors[20] @ view.vectors[20] == pytest.approx(1), "a view stays as it was"
    collection.close()
    assert {path.stem for path in library.folder.glob("*.facts")} == {"00000002"}
    again = library.open()
    assert library.restore(again) == []
    library.assert_searched(again)


def test_references_that_went_elsewhere_are_left_out(library: Library) -> None:
    collection = library.open()
    library.add(collection, range(30))
    collection.close()
    for number in range(10):
        del library.features[f"k{number}"], library.digests[f"k{number}"]
    library.digests["k10"] = digest(9999)
    library.digests["twin"], library.features["twin"] = digest(11), library.features.pop("k11")
    del library.digests["k11"]
    again = library.open()
    assert library.restore(again) == ["k10"]
    library.assert_searched(again)


def test_damaged_files_and_those_of_another_model_are_made_again(library: Library) -> None:
    collection = library.open()
    library.add(collection, range(12))
    collection.close()
    names = list(library.digests)
    other = library.open(model="other")
    assert library.restore(other) == names
    library.assert_searched(other)
    other.close()
    for damage in ("manifest", "facts"):
        path = library.folder / MANIFEST
        if damage == "facts":
            (path,) = library.folder.glob("*.facts")
        path.write_bytes(path.read_bytes()[:20])
        (finding,) = inspect_path(library.folder)
        assert finding.damage
        again = library.open(model="other")
        assert library.restore(again) == names
        library.assert_searched(again)
        again.close()
    (path,) = library.folder.glob("*.vectors")
    data = bytearray(path.read_bytes())
    data[3 * 4 * DIM + 2] ^= 16
    path.write_bytes(bytes(data))
    (finding,) = inspect_path(library.folder)
    assert "the checksum of a row differs" in finding.damage
    manifest = json.loads((library.folder / MANIFEST).read_text())
    assert manifest["rows"] == 12


def test_one_process_at_a_time_has_the_files(library: Library) -> None:
    collection = library.open()
    with pytest.raises(AslError):
        library.open()
    collection.close()
    library.open().close()


def test_a_full_disk_costs_memory_and_no_answer(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = library.open()
    library.add(collection, range(200))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(MappedRows, "_extend", full)
    library.add(collection, range(200, 400))
    library.remove(collection, range(250))
    library.add(collection, range(400, 600))
    library.assert_searched(collection)
    monkeypatch.undo()
    again = library.open()
    library.restore(again)
    library.assert_searched(again)


def test_a_full_disk_leaves_rows_that_are_gone_where_they_are(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = library.open()
    library.add(collection, range(700))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(MappedRows, "_extend", full)
    library.remove(collection, range(500))
    assert len(collection.view().keys) == 700
    library.assert_searched(collection)


def test_rows_in_memory_have_no_past() -> None:
    rows = VectorRows(DIM, 0)
    rows.close(3)
    assert rows.complete == 0
