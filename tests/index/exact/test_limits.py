"""Limits of a ranking are checked, and say how many candidates to fetch first."""

from __future__ import annotations

import numpy as np
import pytest

from asl.index.exact.limits import SLACK, Limits
from asl.types import AslError, UsageError


def limits(k=10, most=None, above=None, mode="hinge"):  # type: ignore[no-untyped-def]
    return Limits.of(k, most, above, shape=(4, 100), mode=mode)


def test_k_is_at_most_the_number_of_references() -> None:
    assert limits(200).k.tolist() == [100] * 4
    assert limits(np.array([1, 2, 3, 400])).k.tolist() == [1, 2, 3, 100]
    assert limits(None, above=0.5).k.tolist() == [100] * 4
    assert limits().above == -np.inf


def test_the_first_fetch_is_short_where_few_pairs_are_asked_for() -> None:
    assert limits(10).first_fetch() == 10 + SLACK
    assert limits(None, most=8).first_fetch() == 2 * 8 // 4 + 1 + SLACK
    assert limits(None, above=0.9).first_fetch() == 2 * SLACK
    assert limits(3, most=1000).first_fetch() == 3 + SLACK


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"k": 0}, UsageError, "k: must be 1 or more, got 0"),
        ({"k": np.array([1, 2])}, AslError, r"one per query \(4\), got shape \(2,\)"),
        ({"k": None}, UsageError, "k: k=null requires most= or above="),
        ({"k": None, "most": 5, "mode": "paper"}, UsageError, "not supported with score=paper"),
        ({"most": 0}, UsageError, "most: must be 1 or more, got 0"),
        ({"above": np.nan}, UsageError, "above: must be finite, got nan"),
    ],
)
def test_limits_out_of_range_are_refused(given, error, said) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=said):
        limits(**given)
