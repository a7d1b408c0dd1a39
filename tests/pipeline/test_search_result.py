"""Results of a search: a threshold takes pairs and columns alike."""

from __future__ import annotations

import numpy as np

from asl.pipeline.search_result import SearchResult
from asl.types import ScoredPairs


def test_a_threshold_takes_pairs_and_columns_alike() -> None:
    pairs = ScoredPairs.from_ids(["a", "a", "b"], ["x", "y", "x"], [0.9, 0.2, 0.5])
    result = SearchResult(pairs, {"reason": np.array(["1", "2", "3"])}, "2 queries")
    assert result.at_least(None) is result
    kept = result.at_least(0.5)
    assert kept.pairs.scores.tolist() == [0.9, 0.5]
    assert kept.columns["reason"].tolist() == ["1", "3"]
    assert len(result.at_least(1.0).pairs) == 0
