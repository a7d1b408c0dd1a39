"""Parquet tables as the hub writes them, in one file and in shards."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asl.data.catalog import open_catalog
from asl.types import AslError


def hub(path: Path, names: list[str | None], *, group: int = 2) -> Path:
    images = [{"bytes": f"{path.stem}{n}".encode(), "path": name} for n, name in enumerate(names)]
    table = pa.table({"image": images, "label": list(range(len(names)))})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group)
    return path


def test_ids_come_from_the_paths_of_the_images(tmp_path: Path) -> None:
    path = hub(tmp_path / "train-00000.parquet", ["a.jpg", "sub/b.jpg", "c.jpg"])
    catalog = open_catalog(path)
    assert catalog.ids.tolist() == ["a.jpg", "sub/b.jpg", "c.jpg"]
    assert [catalog.read(row) for row in (2, 0)] == [b"train-000002", b"train-000000"]
    assert open_catalog(path, id_style="stem").ids.tolist() == ["a", "b", "c"]
    assert catalog.stamp(2).startswith("2 ")


@pytest.mark.parametrize("names", [["image.jpg"] * 3, [None] * 3, ["a.jpg", "", "b.jpg"]])
def test_paths_that_tell_nothing_are_replaced_by_rows(tmp_path: Path, names: list[str]) -> None:
    catalog = open_catalog(hub(tmp_path / "t.parquet", list(names)))
    assert catalog.ids.tolist() == ["t/000000", "t/000001", "t/000002"]


def test_a_folder_of_shards_is_one_catalog(tmp_path: Path) -> None:
    hub(tmp_path / "data" / "train-0.parquet", ["a.jpg", "b.jpg", "c.jpg"])
    hub(tmp_path / "data" / "train-1.parquet", ["d.jpg", "e.jpg", "f.jpg"])
    (tmp_path / "README.md").write_text("x")
    catalog = pickle.loads(pickle.dumps(open_catalog(tmp_path)))
    assert catalog.ids.tolist() == [f"{letter}.jpg" for letter in "abcdef"]
    assert [catalog.read(row) for row in (4, 0, 5)] == [b"train-11", b"train-00", b"train-12"]
    assert catalog.locate(4).endswith("train-1.parquet::1")
    assert catalog.stamp(3).startswith("0 ")
    hub(tmp_path / "data" / "train-1.parquet", ["a.jpg", "e.jpg"])
    assert open_catalog(tmp_path).ids.tolist()[2:4] == ["train-0/c.jpg", "train-1/a.jpg"]


def test_a_column_of_its_own_ids_and_other_names(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": [7, 8], "img": [b"1", b"2"]}), path)
    assert open_catalog(path).ids.tolist() == ["7", "8"]
    pq.write_table(pa.table({"id": [7, 7], "img": [b"1", b"2"]}), path)
    with pytest.raises(AslError, match="'7'"):
        open_catalog(path)


def test_broken_tables_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": ["a"]}), path)
    with pytest.raises(AslError, match=r"t\.parquet: no column of images: it has text"):
        open_catalog(path)
    good = hub(tmp_path / "shards" / "a.parquet", ["a.jpg"])
    (tmp_path / "shards" / "b.parquet").write_bytes(good.read_bytes()[:-20])
    with pytest.raises(AslError, match=r"b\.parquet: not a readable Parquet table"):
        open_catalog(tmp_path / "shards")
    images = [{"bytes": None, "path": "a.jpg"}]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"image": pa.array(images, kind)}), path)
    with pytest.raises(AslError, match=r"t\.parquet, row 0: column 'image' holds no bytes"):
        open_catalog(path).read(0)


def test_tars_and_tables_do_not_mix(tmp_path: Path) -> None:
    hub(tmp_path / "a.parquet", ["a.jpg"])
    (tmp_path / "b.tar").write_bytes(b"")
    with pytest.raises(AslError, match=r"holds both \.parquet and \.tar"):
        open_catalog(tmp_path)


def test_mutated_tables_give_bytes_or_one_line(tmp_path: Path) -> None:
    path = hub(tmp_path / "t.parquet", [f"{letter}.jpg" for letter in "abcdef"])
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
        path.write_bytes(data)
        message = refusal(path)
        assert "\n" not in message
        refused += bool(message)
    assert refused > 100


def refusal(path: Path) -> str:
    try:
        catalog = open_catalog(path)
        for row in range(len(catalog)):
            catalog.read(row)
    except AslError as error:
        return str(error)
    return ""


def test_an_empty_id_and_an_empty_image_are_named(tmp_path: Path) -> None:
    images = pa.array([b"x", None, b"z"], pa.binary())
    table = pa.table({"id": ["a", "b", "c"], "image": images})
    pq.write_table(table, tmp_path / "images.parquet")
    catalog = open_catalog(tmp_path / "images.parquet")
    assert catalog.read(0) == b"x"
    with pytest.raises(AslError, match=r"images\.parquet, row 1: column 'image' holds no bytes"):
        catalog.read(1)
    table = pa.table({"id": ["a", None, "c"], "image": images})
    pq.write_table(table, tmp_path / "ids.parquet")
    with pytest.raises(AslError, match=r"ids\.parquet, row 1: column 'id' is empty; give every"):
        open_catalog(tmp_path / "ids.parquet")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text on this system")
def test_a_table_in_a_folder_whose_name_is_not_utf8(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xff")
    odd.mkdir()
    table = hub(tmp_path / "t.parquet", ["a.jpg"]).rename(odd / "t.parquet")
    assert open_catalog(table).read(0) == b"t0"
