"""Frames of one moment: aligned, near in time, no copies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asl.app.library.facts import Facts
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.pairs.same_moment import (
    may_be_same_moment,
    may_be_shots,
    taken_apart,
    were_shot_apart,
)

SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
FRAME = PairVerdict(0.1, 0.1, SQUARE, SQUARE, share_first=0.9, share_second=0.9)


def test_an_aligned_pair_of_near_features_may_be_one_moment() -> None:
    assert may_be_same_moment(0.9, FRAME)
    assert not may_be_same_moment(0.3, FRAME)
    for change in (
        {"first_outline": ()},
        {"share_second": 0.2},
        {"seen": False},
    ):
        assert not may_be_same_moment(0.9, replace(FRAME, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        ("2024:05:01 12:00:00", "2024:05:01 12:00:02", False),
        ("2024:05:01 12:00:00", "2024:05:02 12:00:00", True),
        ("2024:05:01 12:00:00", "", False),
        ("2024:05:01 12:00:00", "0000:00:00 00:00:00", False),
    ],
)
def test_dates_far_from_each_other_are_two_moments(first: str, second: str, apart: bool) -> None:
    facts = Facts(10, 10, 100)
    assert taken_apart(replace(facts, taken=first), replace(facts, taken=second)) == apart


def test_shots_have_one_camera_two_dates_and_one_size() -> None:
    first = Facts(400, 300, 1, camera="A", taken="2024:05:01 12:00:00")
    second = replace(first, taken="2024:05:01 12:00:02")
    assert were_shot_apart(first, second)
    assert not were_shot_apart(first, first), "a copy keeps the date"
    assert not were_shot_apart(first, replace(second, camera="B"))
    assert not were_shot_apart(first, replace(second, taken="2024:05:01 12:02:00"))
    assert not were_shot_apart(first, replace(second, taken=""))
    assert may_be_shots(first, second)
    assert not may_be_shots(first, replace(second, width=401))
    assert not may_be_shots(first, replace(second, taken="2024:05:01 12:02:00"))
