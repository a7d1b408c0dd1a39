"""Splits of a data set in every form, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asl.app.leaks.splits import Split, read_splits
from asl.types import UsageError
from tests.app.leaks.conftest import write_hub_table, write_tar


def read(*sets: Path, column: str | None = None, chosen: tuple[str, ...] = ()) -> list[Split]:
    return read_splits(sets, column=column, chosen=chosen)


def numbers(splits: list[Split]) -> dict[str, int]:
    return {split.name: len(split.listing.sources) for split in splits}


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jpg"))


def test_folders_are_named_by_their_last_part_and_links_stay(sets: Path, tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    os.symlink(sets / "train" / "p0.jpg", tmp_path / "val" / "link.jpg")
    os.link(sets / "train" / "p1.jpg", tmp_path / "val" / "hard.jpg")
    os.symlink("hard.jpg", tmp_path / "val" / "again.jpg")
    splits = read(sets / "train", tmp_path / "val", sets / "test")
    assert numbers(splits) == {"train": 7, "val": 3, "test": 7}


def test_two_folders_of_one_name_are_named_as_typed(sets: Path, tmp_path: Path) -> None:
    other = tmp_path / "train"
    other.symlink_to(sets / "test")
    assert list(numbers(read(sets / "train", other))) == [str(sets / "train"), str(other)]


def test_a_table_with_a_column_of_splits(sets: Path, tmp_path: Path) -> None:
    rows = [("test", "test/cut.jpg"), ("train", "train/p0.jpg"), ("train", "train/p0.jpg")]
    rows += [("extra", "train/p1.jpg"), ("train", "gone.jpg"), ("test", "train/p0.jpg")]
    table = sets / "data.csv"
    table.write_text("path,fold\n" + "".join(f"{path},{split}\n" for split, path in rows))
    splits = read(table, column="fold")
    assert numbers(splits) == {"train": 2, "extra": 1, "test": 2}, "train first, test last"
    assert splits[0].repeated == 1
    assert splits[0].names == [str(sets / "train" / "p0.jpg"), str(sets / "gone.jpg")]
    assert list(numbers(read(table, column="fold", chosen=("test", "train")))) == ["test", "train"]
    with pytest.raises(UsageError, match=r"'dev' is unknown or given twice; .* has test, train"):
        read(table, column="fold", chosen=("train", "dev"))
    with pytest.raises(UsageError, match="no column 'split'; it has path, fold"):
        read(table, column="split")
    table.write_text("file_name,fold\ntrain/p0.jpg,a\ntest/cut.jpg,b\n")
    splits = read_splits([table], column="fold", chosen=[], path_column="file_name")
    assert [split.names for split in splits] == [
        [str(sets / "train" / "p0.jpg")],
        [str(sets / "test" / "cut.jpg")],
    ]
    with pytest.raises(UsageError, match="no column `path`"):
        read(table, column="fold")
    table.write_text("path,fold\na.jpg,train\nb.jpg,\n")
    with pytest.raises(UsageError, match="row 2 below the header has no fold"):
        read(table, column="fold")
    table.write_text("path,fold\na.jpg,train\n")
    with pytest.raises(UsageError, match="two splits or more are compared, found train"):
        read(table, column="fold")


def test_shards_and_tables_of_each_split(sets: Path, tmp_path: Path) -> None:
    first = write_tar(tmp_path / "first.tar", files(sets / "train"))
    second = write_hub_table(tmp_path / "second.parquet", files(sets / "test"))
    train, test = read(first, second)
    assert (train.name, test.name) == ("first", "second")
    assert train.names[0] == f"{first}/p0 (1).jpg"
    originals = [file.read_bytes() for file in files(sets / "train")]
    assert [source.read() for source in train.listing.sources] == originals
    assert test.listing.sources[0].read() == (sets / "test" / "broken.jpg").read_bytes()
    assert {source.changed for source in train.listing.sources} == {first.stat().st_mtime_ns}


def test_one_folder_with_all_splits(sets: Path, tmp_path: Path) -> None:
    assert numbers(read(sets)) == {"train": 7, "test": 7}
    hub = tmp_path / "hub"
    for number, part in enumerate((files(sets / "train")[:4], files(sets / "train")[4:])):
        write_hub_table(hub / "data" / f"train-{number:05}-of-00002.parquet", part)
    write_hub_table(hub / "data" / "test-00000-of-00001.parquet", files(sets / "test"))
    assert numbers(read(hub)) == {"train": 7, "test": 6}
    shards = tmp_path / "shards"
    shards.mkdir()
    write_tar(shards / "val_000000.tar", files(sets / "test"))
    write_tar(shards / "train_000000.tar", files(sets / "train"))
    assert numbers(read(shards)) == {"train": 7, "val": 6}


def test_wrong_sets_are_refused(sets: Path, tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    (tmp_path / "dogs").mkdir()
    for given, message in (
        ((tmp_path,), "two splits or more are compared, found none"),
        ((sets / "train", sets / "train" / ".." / "train"), "are the same"),
        ((sets / "train", tmp_path / "gone"), "sets: there is no .*gone; check the path"),
        ((), "give two sets"),
    ):
        with pytest.raises(UsageError, match=message):
            read(*given)
    with pytest.raises(UsageError, match="--split-column: takes one CSV"):
        read(sets / "train", column="split")
    with pytest.raises(UsageError, match="--splits: is for one CSV or one folder"):
        read(sets / "train", sets / "test", chosen=("train",))
