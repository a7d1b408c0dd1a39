"""Results of an earlier run go; files of others, and edited ones, stay and are named."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from asl.app.scanning.earlier_results import remove_earlier
from asl.data.checked_parquet import write_parquet
from asl.storage import atomic_text, recorded


def text(path: Path) -> Path:
    with recorded(path), atomic_text(path) as file:
        file.write("written by asl")
    return path


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
