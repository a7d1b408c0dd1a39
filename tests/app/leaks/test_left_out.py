"""Parts of a folder that belong to no split are named and counted."""

from __future__ import annotations

import shutil
from pathlib import Path

from asl.app.leaks.left_out import LOOSE, left_out_of, left_out_text
from asl.app.leaks.splits import read_splits
from tests.app.leaks.conftest import write_hub_table, write_tar


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jpg"))


def test_folders_files_and_shards_beside_the_splits(sets: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(sets, data)
    assert left_out_of(data) == {}
    for name in ("extra", "extra/more", ".hidden", "train/extra", "empty"):
        (data / name).mkdir()
        if name != "empty":
            shutil.copy(sets / "train" / "p0.jpg", data / name / "a.jpg")
    shutil.copy(sets / "train" / "p0.jpg", data / "loose.jpg")
    (data / "README.md").write_text("no image")
    write_tar(data / "unlabelled.tar", files(sets / "test"))
    write_tar(data / "extra" / "one.tar", files(sets / "test"))
    assert left_out_of(data) == {
        "extra": {"images": 2, "shards": 1},
        LOOSE: {"images": 1, "shards": 0},
        "unlabelled.tar": {"images": 0, "shards": 1},
    }
    assert left_out_text(left_out_of(data)) == (
        "extra (2 images and 1 shard), files beside the splits (1 image), unlabelled.tar (1 shard)"
    )
    compared = {
        name for split in read_splits([data], column=None, chosen=()) for name in split.names
    }
    assert str(data / "train" / "extra" / "a.jpg") in compared
    assert not any(name.startswith(str(data / "extra")) for name in compared)


def test_shards_and_files_beside_the_shards_of_splits(sets: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_hub_table(tmp_path / "data" / f"{split}-00000-of-00001.parquet", files(sets / split))
    assert left_out_of(tmp_path) == {}
    write_tar(tmp_path / "data" / "rest.tar", files(sets / "test"))
    shutil.copy(sets / "train" / "p0.jpg", tmp_path / "cover.jpg")
    assert left_out_of(tmp_path) == {
        "data": {"images": 0, "shards": 1},
        LOOSE: {"images": 1, "shards": 0},
    }
