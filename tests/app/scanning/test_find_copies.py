"""A scan as a function finds what the command finds, and keeps nothing unless asked."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

import asl
from asl.app.scanning.find_copies import find_copies
from asl.app.scanning.pair_prospects import PairProspects
from asl.types import UsageError


def test_copies_of_a_folder(photos: Path, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    copies = find_copies(photos)
    found = {(Path(row.original).name, Path(row.copy).name): row for row in copies}
    assert found[("p0.jpg", "crop-of-0.jpg")].direction == "original->copy"
    assert len(copies) == len(found) == 2
    assert list(copies.failures) == [str(photos / "broken.jpg")]
    assert (copies.files, copies.precision) == (8, 0.95)
    assert repr(copies) == "<Copies: 2 pairs in 2 groups, 8 files, 1 unreadable>"
    assert copies._repr_html_().count("data:image/jpeg;base64,/9j/") == 4
    assert [path.name for path in tmp_path.iterdir()] == ["photos"], "nothing is left behind"


def test_names_are_no_markup_and_a_cache_is_kept(photos: Path, tmp_path: Path) -> None:
    (photos / "p0.jpg").rename(photos / "<b>0.jpg")
    cache = tmp_path / "known.sqlite"
    page = find_copies(photos, cache=cache)._repr_html_()
    assert "&lt;b&gt;0.jpg" in page
    assert "<b>" not in page
    assert [path.stem[:6] for path in tmp_path.glob("known-*.sqlite")] == ["known-"]


def test_hopeless_pairs_are_skipped_where_asked_and_counted(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = PairProspects(
        "m", 2.0, 5, 0.0, 2.0, 2.0
    )  # no cosine suffices: votes and features decide
    monkeypatch.setattr("asl.app.scanning.scan_folder.prospects_of", lambda _: rule)
    every, some = (find_copies(photos, compare=kind) for kind in ("all", "promising"))
    assert [row.copy for row in every] == [row.copy for row in some]
    assert every.hopeless == find_copies(photos).hopeless == 0
    assert some.hopeless > 10


def test_against_a_library(photos: Path) -> None:
    copies = find_copies(photos / "sub", against=photos)
    assert {Path(row.copy).name for row in copies} == {"crop-of-0.jpg", "small-1.png"}


def test_it_is_in_the_package_and_wrong_use_is_named(tmp_path: Path) -> None:
    assert asl.find_copies is find_copies
    with pytest.raises(UsageError, match="nowhere"):
        find_copies(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="expected a folder, or several, got int"):
        find_copies(5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="precision"):
        find_copies(tmp_path, precision=2)
