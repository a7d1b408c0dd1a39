"""Results of an earlier run go; files of others, and edited ones, stay and are named."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from asl.app.scanning.earlier_results import note_on_other_photos, remove_earlier
from asl.console.schemas.scan_config import ScanConfig
from asl.data.checked_parquet import write_parquet
from asl.storage import atomic_text, recorded, write_json


def text(path: Path) -> Path:
    with recorded(path), atomic_text(path) as file:
        file.write("written by asl")
    return path


def test_results_of_other_photos_are_said_to_be_replaced(tmp_path: Path) -> None:
    photos, others = tmp_path / "photos", tmp_path / "others"
    photos.mkdir()
    others.mkdir()
    (photos / "a.jpg").write_bytes(b"")

    def said(*asked: Path, against: tuple[Path, ...] = ()) -> str:
        options = ScanConfig(photos=list(asked), against=list(against), output=tmp_path)
        return note_on_other_photos(options)

    assert said(photos) == "", "nothing is there"
    write_json(tmp_path / "summary.json", {"files": 3})
    assert said(photos) == "", "an earlier version does not say of what"
    write_json(tmp_path / "summary.json", {"folders": [str(photos)]})
    assert said(photos) == said(photos / "a.jpg") == said(others, against=(photos,)) == ""
    assert said(others).startswith(f"note: {tmp_path} has the results of a scan of {photos}, and")
    assert "decisions and marks of reviews are kept" in said(others)


def test_what_asl_wrote_goes(tmp_path: Path) -> None:
    table, page = text(tmp_path / "copies.csv"), text(tmp_path / "gallery.html")
    text(tmp_path / "copies.json")
    write_parquet(pa.table({"group": [1]}), tmp_path / "copies.parquet")
    assert remove_earlier(table, page) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asl.sha256", "copies.csv"]


def test_what_is_edited_or_of_others_stays_and_is_named(tmp_path: Path) -> None:
    table, page = tmp_path / "copies.csv", tmp_path / "gallery.html"
    text(page).write_text("edited")
    pq.write_table(pa.table({"group": [1]}), tmp_path / "copies.parquet")
    (tmp_path / "copies.json").write_text("[]")
    notes = remove_earlier(table, page)
    assert [Path(note.split(" is not of this run")[0]).name for note in notes] == [
        "copies.parquet",
        "copies.json",
        "gallery.html",
    ]
    assert page.read_text() == "edited"


def test_a_damaged_table_stays(tmp_path: Path) -> None:
    (tmp_path / "copies.parquet").write_bytes(b"PAR1 and nothing more")
    assert len(remove_earlier(tmp_path / "copies.csv", tmp_path / "gallery.html")) == 1
