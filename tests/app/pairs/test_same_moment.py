"""Frames of one moment: aligned, near in time, no copies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asl.app.library.facts import Facts
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.pairs.same_moment import may_be_same_moment, taken_apart

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
