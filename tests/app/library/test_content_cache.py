"""The cache that everything of one user shares: nothing is embedded twice, and nothing is wrong."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from asl import CopyDetector
from asl.app.library import content_cache
from asl.app.library.cached_parts import CachedParts
from asl.app.library.content_cache import (
    MOST_DAYS,
    ContentCache,
    cache_limit,
    open_cache,
)
from asl.app.library.facts import Facts
from asl.app.library.records import Record
from asl.storage import ReadError, cache_folder
from asl.types import UsageError
from tests.app.conftest import encode, textured
from tests.app.scans import run_scan, scanned, summary

GB = 10**9


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASL_CACHE", str(tmp_path / "shared cache"))
    # Nothing is embedded often enough here to be worth an export of the small network.
    monkeypatch.setattr("asl.features.runner.cache_folder", lambda: None)
    return tmp_path / "shared cache"


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ContentCache]:
    with closing(ContentCache(tmp_path / "c" / "contents.db", limit=GB)) as opened:
        yield opened


def test_a_scan_into_a_new_folder_embeds_nothing_again(
    photos: Path, model: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scanned(photos, model, tmp_path / "one")
    assert summary(tmp_path / "one")["embedded"] == 7

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a local feature or a verdict was computed again")

    monkeypatch.setattr("asl.matching.candidates.local_features.Reader.__call__", fail)
    monkeypatch.setattr("asl.app.pairs.pair_verifier._Worker.__call__", fail)
    moved = tmp_path / "moved"
    shutil.copytree(photos, moved)
    second = scanned(moved, model, tmp_path / "two")
    numbers = summary(tmp_path / "two")
    assert (numbers["embedded"], numbers["reused"], numbers["unreadable"]) == (0, 7, 1)
    drop = ("original", "copy", "original_shot", "copy_shot", "parent")
    plain = [
        [{key: cell for key, cell in row.items() if key not in drop} for row in rows]
        for rows in (first, second)
    ]
    assert plain[0] == plain[1], "the same probabilities, to the last digit"
    assert oct(folder.stat().st_mode & 0o777) == "0o700"


def test_a_drive_that_was_away_is_not_embedded_again(
    photos: Path, model: Path, tmp_path: Path, folder: Path
) -> None:
    quick = ("--local-candidates", 0, "--gallery", 0)
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(photos / "p1.jpg", other)
    run_scan(photos, model, tmp_path / "out", *quick)
    photos.rename(tmp_path / "unplugged")
    run_scan(other, model, tmp_path / "out", *quick)
    assert summary(tmp_path / "out")["forgotten"] == 8
    (tmp_path / "unplugged").rename(photos)
    run_scan(photos, model, tmp_path / "out", *quick)
    assert summary(tmp_path / "out")["embedded"] == 0


def test_scan_and_detector_share_it_and_regions_are_added(
    photos: Path, model: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_scan(photos, model, tmp_path / "one", "--local-candidates", 0)
    query = photos / "p1.jpg"
    with CopyDetector(model) as detector:
        detector.add(photos)
        expected = detector.query(query, min_probability=0)
    calls: list[int] = []
    embed = "asl.features.torch_runner.TorchRunner.embed"
    monkeypatch.setattr(embed, lambda self, images: calls.append(len(images)) or np.empty((0, 16)))
    with CopyDetector(model) as detector:
        assert len(detector.add(photos).added) == 7
        assert sum(calls) == 0, "neither pictures nor regions"
        monkeypatch.undo()
        assert detector.query(query, min_probability=0) == expected


def test_another_model_or_setting_takes_nothing(cache: ContentCache) -> None:
    record = Record("d" * 64, Facts(30, 20, 100, "PNG"), np.arange(4, dtype=np.float32), b"jpeg")
    plain = {
        "model": "m",
        "runner": "torch 2 cpu",
        "regions": "r",
        "dim": 4,
        "thumbnail_side": 320,
        "max_pixels": 600,
    }
    parts = CachedParts.of(cache, **plain)
    parts.put([record])
    same = parts.get(record.digest)
    assert same is not None
    assert (same.facts, same.thumbnail, same.regions) == (record.facts, b"jpeg", None)
    assert same.feature is not None
    assert same.feature.tolist() == [0, 1, 2, 3]
    changes = {
        "model": "n",
        "runner": "torch 2 cuda",
        "dim": 2,
        "thumbnail_side": 256,
        "max_pixels": 599,
    }
    for key, value in changes.items():
        assert CachedParts.of(cache, **{**plain, key: value}).get(record.digest) is None, key
    assert CachedParts.of(cache, **{**plain, "regions": "s"}).get(record.digest) is not None
    reduced = Record("e" * 64, Facts(30, 21, 100, "JPEG"), record.feature, b"jpeg")
    parts.put([reduced])
    assert parts.get(reduced.digest) is None, "it was decoded at half its size"


def test_pictures_that_are_no_files_of_this_machine_stay_out(model: Path, folder: Path) -> None:
    with CopyDetector(model) as detector:
        detector.add(encode(textured(1)), names="upload")
        detector.query(textured(2))
    opened = open_cache()
    assert opened is not None
    assert opened.facts().entries == 0


def test_what_is_damaged_counts_as_missing(cache: ContentCache) -> None:
    cache.put("k", [("a", b"one"), ("b", b"two")])
    with closing(sqlite3.connect(cache.path)) as database, database:
        database.execute("UPDATE contents SET value = x'00' WHERE digest = 'a'")
    assert cache.get("k", ["a", "b", "c"]) == {"b": b"two"}
    assert cache.facts().entries == 1, "the damaged entry is gone"
    cache.put("k", [("a", b"again")])
    assert cache.get("k", ["a"]) == {"a": b"again"}
    assert cache.get("other", ["a"]) == {}


def test_a_damaged_file_is_replaced_and_a_failing_one_harms_nobody(tmp_path: Path) -> None:
    path = tmp_path / "contents.db"
    path.write_bytes(b"no database, but long enough to be read as one" * 40)
    cache = ContentCache(path, limit=GB)
    cache.put("k", [("a", b"one")])
    assert cache.get("k", ["a"]) == {"a": b"one"}
    cache.close()
    assert cache.get("k", ["a"]) == {}
    cache.put("k", [("a", b"two")])
    cache.tidy()


def test_a_cache_that_another_process_locks_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "contents.db"
    with closing(ContentCache(path, limit=GB)) as cache:
        cache.put("k", [("a", b"one")])
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "timeout": 0}))
    with closing(connect(path)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM contents")
        with pytest.raises(ReadError, match="in use by another process"):
            ContentCache(path, limit=GB)
        other.rollback()
    with closing(ContentCache(path, limit=GB)) as cache:
        assert cache.get("k", ["a"]) == {"a": b"one"}


def test_a_place_that_cannot_be_written_is_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ASL_CACHE", str(tmp_path / "file" / "inside"))
    assert open_cache() is None


def test_the_longest_unused_entries_go_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = 20_000
    monkeypatch.setattr(content_cache, "_today", lambda: today)
    with closing(ContentCache(tmp_path / "contents.db", limit=400_000)) as cache:
        for number in range(3):
            today += 1
            cache.put("k", [(f"{number}", os.urandom(100_000))])
        today += 1
        assert len(cache.get("k", ["0"])) == 1
        cache.tidy()  # used on this day
        cache.put("k", [("3", os.urandom(100_000)), ("4", os.urandom(50_000))])
        cache.tidy()
        kept = set(cache.get("k", list("01234")))
        assert {"0", "3", "4"} <= kept < set("01234")
        assert cache.facts().bytes <= 400_000
        assert cache.path.stat().st_size <= 500_000, "the space is returned"
        cache.tidy()
        today += MOST_DAYS + 1
        cache.put("k", [("5", b"new")])
        cache.tidy()
        assert cache.facts().entries == 1, "what nobody used for half a year"


def _fill(path: Path, start: int) -> None:
    with closing(ContentCache(path, limit=GB)) as cache:
        for number in range(start, start + 200):
            cache.put("k", [(str(number), b"%d" % number)])
            cache.get("k", [str(number - 1)])
        cache.tidy()


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "contents.db"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_fill, args=(path, start)) for start in (0, 100)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with closing(ContentCache(path, limit=GB)) as cache:
        found = cache.get("k", [str(number) for number in range(300)])
        assert found == {str(number): b"%d" % number for number in range(300)}


def test_the_environment_moves_limits_and_switches_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASL_CACHE", "OFF")
    assert (cache_folder(), open_cache()) == (None, None)
    monkeypatch.setenv("ASL_CACHE", "~/mine")
    assert cache_folder() == Path.home() / "mine"
    monkeypatch.delenv("ASL_CACHE")
    default = cache_folder()
    assert default is not None
    assert default.name == "asl"
    monkeypatch.setenv("ASL_CACHE_GB", "0.5")
    assert cache_limit() == 500_000_000
    for wrong in ("much", "0", "-1", "inf", "nan"):
        monkeypatch.setenv("ASL_CACHE_GB", wrong)
        with pytest.raises(UsageError, match="ASL_CACHE_GB: must be a number of gigabytes"):
            cache_limit()
