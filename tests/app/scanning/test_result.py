from __future__ import annotations

from pathlib import Path

import pytest

from asl.app.library.facts import Facts
from asl.app.library.sync import SyncResult
from asl.app.scanning.result import ScanImage, ScanResult


def result(*roots: tuple[str, str]) -> ScanResult:
    nothing = SyncResult({}, {}, 0, 0, 0)
    pairs = tuple((Path(absolute), Path(typed)) for absolute, typed in roots)
    return ScanResult(pairs, False, [], [], 0.5, 0.9, nothing, 0, 0, 0, 0, Path("cache"))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("photos", "photos/sub/a.jpg"), (".", "sub/a.jpg"), ("../photos", "../photos/sub/a.jpg")],
)
def test_paths_are_shown_as_the_folder_was_typed(typed: str, expected: str) -> None:
    found = result(("/data/photos", typed), ("/data/library", "/data/library"))
    assert found.typed_path("/data/photos/sub/a.jpg") == expected
    assert found.typed_path("/data/library/b.jpg") == "/data/library/b.jpg"
    assert found.typed_path("/elsewhere/c.jpg") == "/elsewhere/c.jpg"
    assert found.typed_path("/data/photos/..a.jpg").endswith("..a.jpg")


def test_identical_files_are_pairs_with_the_one_that_is_shown() -> None:
    image = ScanImage(("/p/a", "/p/bb", "/l/aaa"), (False, False, True), "d", Facts(1, 1, 1), 0.0)
    assert image.identical(across=False) == [("/p/a", "/p/bb"), ("/p/a", "/l/aaa")]
    assert image.identical(across=True) == [("/l/aaa", "/p/a"), ("/l/aaa", "/p/bb")]
    assert (image.shown(as_new=True), image.shown(as_new=False)) == ("/p/a", "/l/aaa")
    new = ScanImage(("/p/a", "/p/bb"), (False, False), "d", Facts(1, 1, 1), 0.0)
    assert new.identical(across=True) == [("/p/a", "/p/bb")], "no new file is lost"
    assert new.shown(as_new=False) == "/p/a"
    library = ScanImage(("/l/a", "/l/bb"), (True, True), "d", Facts(1, 1, 1), 0.0)
    assert image.is_across(new)
    assert image.is_across(library)
    assert new.is_across(library)
    assert not library.is_across(library)
