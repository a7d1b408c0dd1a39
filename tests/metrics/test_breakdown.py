"""Metrics by kind: intervals of shares and of µAP, few queries."""

from __future__ import annotations

import numpy as np
import pytest

from asl.metrics.average_precision import average_precision, rank
from asl.metrics.breakdown import FEW_QUERIES, breakdown
from asl.metrics.evaluation import evaluate
from asl.metrics.intervals import proportion_interval
from asl.types import ScoredPairs, TruthPairs

QUERIES = [f"q{number}" for number in range(40)]
KINDS = {
    query: "a" if number < 30 else "b" if number < 36 else "n"
    for number, query in enumerate(QUERIES)
}
TRUTH = TruthPairs.from_pairs(
    [(query, "R") for query in QUERIES[:36]], other_queries=QUERIES[36:], kinds=KINDS
)


def predictions(seed: int, queries: int = 40) -> ScoredPairs:
    """One prediction a query, the same for the first queries however many there are."""
    rng = np.random.default_rng(seed)
    found = ["R" if right else "S" for right in rng.random(40) < 0.7]
    scores = rng.random(40).tolist()
    return ScoredPairs.from_ids(QUERIES[:queries], found[:queries], scores[:queries])


@pytest.mark.parametrize("seed", range(5))
def test_an_interval_is_around_its_number(seed: int) -> None:
    kinds = evaluate(predictions(seed), TRUTH, bootstrap=200, precision=0.5).by_kind
    for result in kinds.values():
        for name, interval in result.intervals.items():
            assert 0 <= interval.low <= getattr(result, name) <= interval.high <= 1
    assert set(kinds["a"].intervals) == {"uap", "recall_at_1", "found", "false_match_rate"}
    assert "uap" not in kinds["b"].intervals, f"fewer than {FEW_QUERIES} queries"
    assert kinds["b"].is_small
    assert not kinds["a"].is_small
    assert set(kinds["n"].intervals) == {"false_match_rate"}
    assert kinds["a"].intervals["recall_at_1"] == proportion_interval(
        float(kinds["a"].recall_at_1 or 0), 30
    )


def test_the_interval_of_one_kind_is_that_of_its_queries_alone() -> None:
    pairs, own = predictions(1), predictions(1, queries=30)
    truth = TruthPairs.from_pairs([(query, "R") for query in QUERIES[:30]])
    alone = evaluate(own, truth, bootstrap=100)
    of_kind = breakdown(rank(pairs, TRUTH), KINDS, threshold=None, bootstrap=100)["a"]
    assert of_kind.uap == average_precision(rank(own, truth)) == alone.uap
    assert of_kind.intervals["uap"] == alone.intervals["uap"]


def test_without_redrawing_shares_keep_their_intervals() -> None:
    kinds = evaluate(predictions(0), TRUTH).by_kind
    assert "uap" not in kinds["a"].intervals
    assert kinds["a"].intervals["recall_at_1"].low < float(kinds["a"].recall_at_1 or 0)


@pytest.mark.parametrize(
    ("share", "count", "low", "high"),
    [
        (0.0, 10, 0.0, 0.2775),
        (1.0, 10, 0.7225, 1.0),
        (0.5, 10, 0.2366, 0.7634),
        (0.25, 40, 0.1419, 0.4019),
    ],
)
def test_wilson_by_published_values(share: float, count: int, low: float, high: float) -> None:
    interval = proportion_interval(share, count)
    assert interval.low == pytest.approx(low, abs=2e-4)
    assert interval.high == pytest.approx(high, abs=2e-4)
