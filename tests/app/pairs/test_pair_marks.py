"""Marks of pairs: stored by content, the last one counts, answers calibrate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asl.app.pairs.pair_marks import (
    LEAST_ANSWERS,
    PairMark,
    PairMarks,
    content_pair,
    marks_path,
    read_marks,
    write_marks,
)
from asl.types import AslError


def mark(number: int, text: str, *, asked: bool = True, verifier: str = "v") -> PairMark:
    return PairMark("a", f"b{number}", text, 0.8, verifier, asked)


def test_marks_survive_and_the_last_one_counts(tmp_path: Path) -> None:
    marks = PairMarks([mark(1, "copy"), mark(2, "keep both"), mark(1, "not a copy")])
    path = tmp_path / "marks.json"
    write_marks(marks, path)
    again = read_marks(path)
    assert [(each.second, each.mark) for each in again] == [
        ("b2", "keep both"),
        ("b1", "not a copy"),
    ]
    assert again.left_out() == {("a", "b1"): "not a copy", ("a", "b2"): "keep both"}
    assert all(each.at for each in again)
    again.remove(("a", "b1"))
    assert again.counts() == {"keep both": 1}


def test_a_pair_is_the_same_in_either_order() -> None:
    assert content_pair("b", "a") == content_pair("a", "b") == ("a", "b")


def test_only_answers_of_this_verifier_calibrate() -> None:
    answers = [mark(number, "not a copy") for number in range(LEAST_ANSWERS)]
    others = [
        mark(100, "not a copy", asked=False),
        mark(101, "not a copy", verifier="older"),
        mark(102, "keep both"),
        mark(103, "unsure"),
    ]
    calibration = PairMarks([*answers, *others]).calibration("v")
    assert (calibration.copies, calibration.others) == (0, LEAST_ANSWERS)
    assert float(calibration.probability(0.8)) < 0.5
    too_few = PairMarks([*answers[1:], *others]).calibration("v")
    assert too_few.answers == 0
    assert float(too_few.probability(0.8)) == 0.8


def test_no_file_means_no_marks_and_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "marks.json"
    assert len(read_marks(path)) == 0
    write_marks(PairMarks(), path)
    assert not path.exists()
    write_marks(PairMarks([mark(1, "copy")]), path)
    raw = json.loads(path.read_text())
    raw["marks"][0]["mark"] = "not a copy"
    path.write_text(json.dumps(raw))
    with pytest.raises(AslError, match=r"marks\.json: damaged"):
        read_marks(path)
    del raw["sha256"], raw["marks"][0]["asked"]
    raw["marks"][0]["mark"] = "maybe"
    for content in ({"format": "other", "marks": []}, {"format": "asl-pair-marks-1"}, raw):
        path.write_text(json.dumps(content))
        with pytest.raises(AslError, match=r"marks\.json: damaged"):
            read_marks(path)
    with pytest.raises(AslError, match="expected one of copy"):
        PairMarks([mark(1, "maybe")])


def test_marks_lie_beside_the_cache_of_every_model() -> None:
    assert marks_path(Path("x/cache.sqlite")) == Path("x/cache-marks.json")
