from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import asl
from asl.app.scanning.tables import Row
from tests.app.conftest import crop, encode, textured
from tests.app.scans import run_scan, scanned, summary


@pytest.mark.parametrize("kind", ["parquet", "json"])
def test_other_tables(photos: Path, model: Path, tmp_path: Path, kind: str) -> None:
    expected = scanned(photos, model, tmp_path / "out")
    run_scan(photos, model, tmp_path / "out", "--format", kind)
    path = tmp_path / "out" / f"copies.{kind}"
    rows = pq.read_table(path).to_pylist() if kind == "parquet" else json.loads(path.read_text())
    if kind == "json":
        assert all(isinstance(row[name], list) for row in rows for name in ("edits", "kinds"))
        rows = [{**row, **{n: "; ".join(row[n]) for n in ("edits", "kinds")}} for row in rows]
    assert [{name: str(value) for name, value in row.items()} for row in rows] == expected
    assert list(rows[0]) == list(Row.__dataclass_fields__)


def test_the_summary_says_how_it_was_made(photos: Path, model: Path, tmp_path: Path) -> None:
    scanned(photos, model, tmp_path / "out")
    numbers = summary(tmp_path / "out")
    assert str(numbers["created"]).startswith("20")
    assert f"asl scan {photos} --model {model}" in str(numbers["command"])
    assert (numbers["version"], numbers["model"]) == (asl.__version__, str(model))
    assert re.fullmatch("[0-9a-f]{8,}", str(numbers["model_hash"]))


def test_relative_folders_give_relative_paths(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = scanned(Path("photos"), model, Path("out"))
    assert ("photos/p0.jpg", "photos/sub/crop-of-0.jpg") in {
        (row["original"], row["copy"]) for row in rows
    }
    with Path("out", "unreadable.csv").open() as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["photos/broken.jpg"]
    Path("new").mkdir()
    Path("new", "cut.jpg").write_bytes(encode(crop(textured(3)), quality=80))
    rows = scanned(Path("new"), model, Path("out"), "--against", "photos")
    assert {(row["original"], row["copy"]) for row in rows} == {("photos/p3.jpg", "new/cut.jpg")}
    monkeypatch.chdir(photos)
    rows = scanned(Path("."), model, tmp_path / "out")
    assert ("p0.jpg", "sub/crop-of-0.jpg") in {(row["original"], row["copy"]) for row in rows}


def test_a_direction_is_explained_only_where_it_is_clear(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    shutil.copy(photos / "p2.jpg", photos / "p2 (1).jpg")
    (photos / "p3-again.jpg").write_bytes(encode(textured(3), quality=94))
    rows = scanned(photos, model, tmp_path / "out")
    directions = {row["direction"] for row in rows}
    assert directions == {"original->copy", "unclear", "same file"}
    for row in rows:
        assert bool(row["why"]) == (row["direction"] == "original->copy"), row


@pytest.mark.parametrize("sign", ["=", "+", "-", "@"])
def test_a_file_name_is_no_formula(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign: str
) -> None:
    (photos / "p3.jpg").rename(photos / f"{sign}HYPERLINK(1).jpg")
    shutil.copy(photos / f"{sign}HYPERLINK(1).jpg", photos / "sub" / f"{sign}2.jpg")
    (photos / "broken.jpg").rename(photos / f"{sign}broken.jpg")
    monkeypatch.chdir(photos)
    rows = scanned(Path("."), model, tmp_path / "out")
    cells = [row[side] for row in rows for side in ("original", "copy")]
    assert f"./{sign}HYPERLINK(1).jpg" in cells
    assert all(Path(cell).is_file() for cell in cells), "and it still is the path"
    assert not any(cell.startswith(sign) for cell in cells)
    assert (tmp_path / "out" / "unreadable.csv").read_text().count(f"./{sign}broken.jpg") == 1
