"""Leaks of known kinds are found, and only those."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from asl.app.leaks.find_leaks import Leak, Leaks, SplitOutcome, find_leaks
from asl.app.leaks.leak_tables import leak_summary
from asl.app.leaks.splits import read_splits
from asl.console.progress import no_bar
from asl.console.schemas.scan_config import ScanConfig
from tests.app.leaks.conftest import write_hub_table, write_tar


def kinds(leaks: list[Leak]) -> set[tuple[str, str, str]]:
    return {(Path(leak.train).name, Path(leak.test).name, leak.kind) for leak in leaks}


EXPECTED = {
    ("p0.jpg", "same.jpg", "identical file"),
    ("p0 (1).jpg", "same.jpg", "identical file"),
    ("p1.jpg", "pixels.png", "same pixels"),
    ("p2.jpg", "small.jpg", "copy"),
    ("p3.jpg", "cut.jpg", "crop"),
}


def test_every_kind_is_found_and_nothing_else(leaks: Leaks) -> None:
    assert kinds(leaks.leaks) == EXPECTED
    assert [leak.kind for leak in leaks.leaks][:2] == ["identical file"] * 2
    cut = next(leak for leak in leaks.leaks if leak.kind == "crop")
    assert (cut.direction, cut.train_split, cut.test_split) == ("train->test", "train", "test")
    assert "of the test image matches" in cut.reason
    assert leaks.leaks[0].direction == "same file"


def test_a_name_that_begins_with_two_dots_is_inside_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = Path("data", "list.csv")
    table.parent.mkdir()
    table.write_text("path,split\n..a.jpg,train\nb.jpg,test\n")
    splits = read_splits([table], column="split", chosen=[])
    outcomes = [SplitOutcome(split, {}, 0) for split in splits]
    found = Leaks(outcomes, [], 0.95, 0.5, tmp_path, 0, 0, 0, "", "")
    shown = [found.typed_path(split.names[0]) for split in splits]
    assert shown == [str(table.parent / "..a.jpg"), str(table.parent / "b.jpg")]


def test_images_are_processed_or_failed(leaks: Leaks, sets: Path) -> None:
    train, test = leaks.splits
    assert (train.processed, train.unreadable, train.failures) == (7, 0, {})
    assert (test.processed, test.unreadable) == (6, 1)
    assert list(test.failures) == [str(sets / "test" / "broken.jpg")]


def test_without_the_listed_files_no_leak_is_left(leaks: Leaks, sets: Path) -> None:
    train = [str(sets / "train" / name) for name in ("p0 (1).jpg", "p0.jpg")]
    assert leaks.to_drop("train")[:2] == [("train", name) for name in train]
    assert len(leaks.to_drop("train")) == 5
    assert [Path(path).name for _, path in leaks.to_drop("test")] == [
        *("cut.jpg", "pixels.png", "same.jpg", "small.jpg")
    ]


def test_archives_and_a_file_of_both_splits(sets: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for name in ("p0.jpg", "p1.jpg"):
        shutil.copy(sets / "train" / name, tmp_path / "train")
    table = tmp_path / "data.csv"
    table.write_text("path,split\ntrain/p0.jpg,test\ntrain/p0.jpg,train\ntrain/p1.jpg,train\n")
    options = ScanConfig(photos=tmp_path, output=tmp_path, model=str(model), workers=1)
    splits = read_splits([table], column="split", chosen=[])
    found = find_leaks(splits, options, same_moment=False, bar=no_bar)
    assert kinds(found.leaks) == {("p0.jpg", "p0.jpg", "identical file")}
    assert found.to_drop("test") == [("test", str(tmp_path / "train" / "p0.jpg"))]
    tar = write_tar(tmp_path / "a.tar", sorted((tmp_path / "train").iterdir()))
    hub = write_hub_table(tmp_path / "b.parquet", [sets / "test" / "same.jpg"])
    splits = read_splits([tar, hub, tmp_path / "train"], column=None, chosen=[])
    found = find_leaks(splits, options, same_moment=False, bar=no_bar)
    assert kinds(found.leaks) == {
        ("p0.jpg", "same.jpg", "identical file"),
        ("same.jpg", "p0.jpg", "identical file"),
        ("p0.jpg", "p0.jpg", "identical file"),
        ("p1.jpg", "p1.jpg", "identical file"),
    }
    assert found.typed_path(found.leaks[0].train).startswith(str(tmp_path / "a.tar"))


def test_shards_of_one_folder_whose_samples_have_the_same_names(
    sets: Path, model: Path, tmp_path: Path
) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    for split, file in (
        ("train", "train/p4.jpg"),
        ("val", "train/p5.jpg"),
        ("test", "test/q20.jpg"),
    ):
        (tmp_path / "000000.jpg").write_bytes((sets / file).read_bytes())
        write_tar(shards / f"{split}-00000.tar", [tmp_path / "000000.jpg"])
    options = ScanConfig(photos=shards, output=tmp_path / "out", model=str(model), workers=1)
    splits = read_splits([shards], column=None, chosen=[])
    found = find_leaks(splits, options, same_moment=False, bar=no_bar)
    assert found.leaks == []
    assert splits[0].names == [str(shards / "train-00000.tar" / "000000.jpg")]


def test_archives_of_an_earlier_comparison_keep_their_thumbnails(
    sets: Path, model: Path, tmp_path: Path
) -> None:
    files = {"a": "train/p1.jpg", "b": "test/pixels.png", "c": "test/q20.jpg"}
    tars = [write_tar(tmp_path / f"{name}.tar", [sets / file]) for name, file in files.items()]
    options = ScanConfig(photos=tars[0], output=tmp_path / "out", model=str(model), workers=1)
    splits = read_splits(tars, column=None, chosen=[])
    found = find_leaks(splits, options, same_moment=False, bar=no_bar)
    assert kinds(found.leaks) == {("p1.jpg", "pixels.png", "same pixels")}
    with closing(found.thumbnails()) as thumbnail:
        assert all(thumbnail(digest) for digest in found.leaks[0].digests)


def test_pairs_that_could_not_be_compared_are_counted(
    sets: Path, model: Path, tmp_path: Path
) -> None:
    tars = [
        write_tar(tmp_path / f"{split}.tar", [sets / file])
        for split, file in (("train", "train/p2.jpg"), ("test", "test/small.jpg"))
    ]
    options = ScanConfig(photos=tars[0], output=tmp_path / "out", model=str(model), workers=1)
    splits = read_splits(tars, column=None, chosen=[])
    found = find_leaks(splits, options, same_moment=False, bar=no_bar)
    assert (found.compared, found.uncompared, len(found.leaks)) == (1, 0, 1)
    with closing(sqlite3.connect(found.store)) as database, database:
        database.execute("DELETE FROM verdicts")
        database.execute("UPDATE images SET picture = x'00', picture_crc = NULL")
    found = find_leaks(splits, options, same_moment=False, bar=no_bar)
    assert (found.compared, found.uncompared) == (1, 1)
    assert leak_summary(found, drop="train", command="")["not_comparable"] == 1


@pytest.mark.shared
def test_neighbouring_frames_are_one_moment(shared_data: Path, tmp_path: Path) -> None:
    for split, place in (("train", 2), ("test", 3)):
        (tmp_path / split).mkdir()
        for video in ("goat", "parkour"):
            frames = sorted((shared_data / "bench" / "groups" / "davis" / video).iterdir())
            shutil.copy(frames[place], tmp_path / split / f"{video}.jpg")
    options = ScanConfig(photos=tmp_path, output=tmp_path / "out", workers=1)
    splits = read_splits([tmp_path / "train", tmp_path / "test"], column=None, chosen=[])
    for same_moment, expected in ((True, 2), (False, 0)):
        found = find_leaks(splits, options, same_moment=same_moment, bar=no_bar)
        assert [leak.kind for leak in found.leaks] == ["same moment"] * expected
        assert all(Path(leak.train).name == Path(leak.test).name for leak in found.leaks)
