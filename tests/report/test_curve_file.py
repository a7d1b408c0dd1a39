"""The curve as a table."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from asl.metrics.evaluation import evaluate
from asl.report.curve_file import CURVE_FILE, write_curves
from asl.storage import is_as_written
from asl.types import ScoredPairs, TruthPairs

TRUTH = TruthPairs.from_pairs([("a", "R"), ("b", "S"), ("c", "T")], other_queries=["n"])
PAIRS = ScoredPairs.from_ids(["a", "b", "n", "c"], ["R", "S", "R", "T"], [0.9, 0.8, 0.7, 0.1])


def test_every_point_of_every_run(tmp_path: Path) -> None:
    path = tmp_path / CURVE_FILE
    write_curves(path, {"=one": evaluate(PAIRS, TRUTH), "two": evaluate(PAIRS, TRUTH)})
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == ["./=one"] * 3 + ["two"] * 3
    points = [tuple(float(row[name]) for name in ("recall", "precision", "score")) for row in rows]
    assert points[:3] == points[3:]
    assert points[0] == (pytest.approx(1 / 3), 1.0, 0.9)
    assert points[2] == (1.0, 0.75, 0.1)
    assert is_as_written(path)


def test_nothing_right_is_a_header(tmp_path: Path) -> None:
    wrong = ScoredPairs.from_ids(["a"], ["T"], [0.5])
    write_curves(tmp_path / CURVE_FILE, {"x": evaluate(wrong, TRUTH)})
    assert (tmp_path / CURVE_FILE).read_text() == "run,recall,precision,score\n"
