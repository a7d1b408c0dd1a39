"""Table, list of files to drop and summary say the same."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq

from asl.app.leaks.find_leaks import Leaks
from asl.app.leaks.leak_tables import leak_rows, leak_summary, write_drop_list, write_leaks


def test_every_format_has_the_same_rows(leaks: Leaks, tmp_path: Path) -> None:
    rows = leak_rows(leaks)
    for ending in ("csv", "json", "parquet"):
        write_leaks(rows, tmp_path / f"leaks.{ending}")
    with (tmp_path / "leaks.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    assert [row["train"] for row in listed] == [row.train for row in rows]
    assert pq.read_table(tmp_path / "leaks.parquet")["kind"].to_pylist() == [
        row["kind"] for row in listed
    ]
    plain = json.loads((tmp_path / "leaks.json").read_text())
    assert plain[-1]["edits"][0].startswith("cropped to"), "a list in JSON"
    assert {row["direction"] for row in plain} <= {"train->test", "unclear", "same file"}


def test_the_summary_counts_every_image(leaks: Leaks, tmp_path: Path) -> None:
    numbers = leak_summary(leaks, drop="test", command="asl leaks train test")
    assert numbers["images"] == numbers["processed"] + numbers["unreadable"] == 14
    assert numbers["kinds"] == {
        "identical file": 2,
        "same pixels": 1,
        "copy": 1,
        "crop": 1,
        "same moment": 0,
    }
    (comparison,) = numbers["comparisons"]
    assert (comparison["test_affected"], comparison["test_images"]) == (4, 6)
    assert comparison["test_share"] == 0.666667
    assert {name: split["to_drop"] for name, split in numbers["splits"].items()} == {
        "train": 0,
        "test": 4,
    }
    write_drop_list(leaks, "test", tmp_path / "drop.csv")
    lines = (tmp_path / "drop.csv").read_text().splitlines()
    assert lines[0] == "split,path"
    assert len(lines) == 1 + numbers["to_drop"]
