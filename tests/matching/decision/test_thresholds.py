"""Thresholds: the row with the smallest sufficient precision counts, else the precision itself."""

from __future__ import annotations

from typing import Any

import pytest

from asl.matching.decision.thresholds import (
    read_table,
    threshold_for,
    verifier_table,
)
from asl.shared_defaults import PRECISION
from asl.types import UsageError

TABLE = ((0.5, 0.1), (0.9, 0.4), (0.95, 0.6))


@pytest.mark.parametrize(
    "raw",
    [
        {0.95: 0.6, 0.5: 0.1, 0.9: 0.4},
        [[0.9, 0.4], (0.95, 0.6), [0.5, 0.1]],
        [
            {"precision": 0.9, "threshold": 0.4, "recall": 0.7},
            {"precision": 0.95, "threshold": 0.6},
            {"precision": 0.99, "threshold": None},
            {"precision": 0.5, "threshold": 0.1},
        ],
    ],
    ids=["mapping", "pairs", "rows"],
)
def test_tables_are_read_in_order_of_precision(raw: Any) -> None:
    assert read_table(raw) == TABLE


@pytest.mark.parametrize("raw", [None, "0.9", 3, {}, []])
def test_anything_else_is_an_empty_table(raw: Any) -> None:
    assert read_table(raw) == ()


def test_the_smallest_sufficient_precision_counts() -> None:
    asked = {0.5: 0.1, 0.51: 0.4, 0.9: 0.4, 0.91: 0.6, 0.95: 0.6, 0.96: 0.96}
    assert {value: threshold_for(value, TABLE[::-1]) for value in asked} == asked
    assert threshold_for(0.8, ()) == 0.8


def test_the_packaged_table_rises_and_covers_the_default() -> None:
    table = verifier_table()
    assert [row[0] for row in table] == sorted({row[0] for row in table})
    assert [row[1] for row in table] == sorted({row[1] for row in table})
    assert threshold_for(PRECISION) == dict(table)[PRECISION]


@pytest.mark.parametrize("precision", [0.49, 1.0, 1.5, -1.0, float("nan")])
def test_precisions_out_of_range_are_refused(precision: float) -> None:
    with pytest.raises(UsageError, match=rf"from 0\.5 to below 1, got {precision}; try 0\.95"):
        threshold_for(precision, TABLE)
