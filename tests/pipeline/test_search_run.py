"""Results of a search: a threshold takes pairs and columns alike; calibrations fit the score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest

from asl.pipeline import search_run
from asl.pipeline.search_plan import SearchPlan
from asl.pipeline.search_run import SearchResult
from asl.types import ScoredPairs, UsageError


def test_a_threshold_takes_pairs_and_columns_alike() -> None:
    pairs = ScoredPairs.from_ids(["a", "a", "b"], ["x", "y", "x"], [0.9, 0.2, 0.5])
    result = SearchResult(pairs, {"reason": np.array(["1", "2", "3"])}, "2 queries")
    assert result.at_least(None) is result
    kept = result.at_least(0.5)
    assert kept.pairs.scores.tolist() == [0.9, 0.5]
    assert kept.columns["reason"].tolist() == ["1", "3"]
    assert len(result.at_least(1.0).pairs) == 0


@dataclass(frozen=True)
class Plan:
    """The two fields that are read."""

    least: float | None
    calibration: Any


def test_a_collection_of_another_range_has_no_calibration() -> None:
    plan = cast(SearchPlan, Plan(None, "curve"))
    assert search_run._without_calibration(plan).calibration is None
    with pytest.raises(UsageError, match="the collection was filled with another range"):
        search_run._without_calibration(cast(SearchPlan, Plan(0.5, "curve")))
