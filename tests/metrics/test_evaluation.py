"""One call to all numbers; breakdowns and hard negatives by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from asl.metrics.evaluation import evaluate, missing_predictions
from asl.types import AslError, ScoredPairs, TruthPairs

TRUTH = TruthPairs.from_pairs(
    [("crop1", "R1"), ("crop2", "R2"), ("blur1", "R3")],
    other_queries=["hard1", "hard2", "other"],
    kinds={
        "crop1": "crop",
        "crop2": "crop",
        "blur1": "blur",
        "hard1": "hard:reverse_crop",
        "hard2": "hard:video",
    },
)
PAIRS = ScoredPairs.from_ids(
    ["crop1", "crop2", "hard1", "blur1", "hard2", "other"],
    ["R1", "R2", "R1", "R3", "R2", "R3"],
    [0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
)


def test_headline_numbers_by_hand() -> None:
    result = evaluate(PAIRS, TRUTH)
    assert result.uap == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert (result.recall_at_p90, result.threshold_at_p90) == (pytest.approx(2 / 3), 0.8)
    assert result.recall_at_1 == result.recall_at_10 == result.accuracy_at_1 == result.mean_ap == 1
    assert result.counts == {
        "queries": 6,
        "queries_with_match": 3,
        "true_pairs": 3,
        "predictions": 6,
        "found": 3,
    }


def test_hard_negatives_are_counted_at_the_operating_threshold() -> None:
    assert evaluate(PAIRS, TRUTH).hard_false_match_rate == 0
    lower = evaluate(PAIRS, TRUTH, precision=0.75)
    assert lower.threshold == 0.6
    assert lower.threshold_at_p90 == 0.8  # this name keeps its meaning
    assert lower.hard_false_match_rate == 0.5
    assert lower.recalls[0.75] == (1.0, 0.6)
    assert lower.by_kind["hard:reverse_crop"].false_match_rate == 1
    assert lower.by_kind["hard:video"].false_match_rate == 0


def test_breakdown_by_kind_by_hand() -> None:
    kinds = evaluate(PAIRS, TRUTH).by_kind
    assert set(kinds) == {"crop", "blur", "hard:reverse_crop", "hard:video", "unknown"}
    assert (kinds["crop"].queries, kinds["crop"].uap, kinds["crop"].found) == (2, 1, 1)
    assert (kinds["blur"].true_pairs, kinds["blur"].found, kinds["blur"].recall_at_1) == (1, 0, 1)
    assert kinds["hard:video"].uap is None
    assert kinds["hard:video"].found is None


def test_breakdown_by_a_grouping_of_ones_own() -> None:
    groups = evaluate(PAIRS, TRUTH, groups={"crop1": "album A", "blur1": "album A"}).by_group
    assert groups["album A"].queries == 2
    assert groups["unknown"].queries == 4
    assert evaluate(PAIRS, TRUTH).by_group == {}


def test_without_operating_threshold_there_is_no_rate() -> None:
    bad = evaluate(PAIRS.with_scores(-PAIRS.scores), TRUTH)
    assert (bad.recall_at_p90, bad.threshold_at_p90, bad.hard_false_match_rate) == (0, None, None)
    assert bad.by_kind["crop"].found is None


def test_every_headline_number_has_an_interval_around_it() -> None:
    result = evaluate(PAIRS, TRUTH, bootstrap=100)
    names = {
        "uap",
        "recall_at_p90",
        "recall_at_1",
        "recall_at_10",
        "accuracy_at_1",
        "mean_ap",
        "hard_false_match_rate",
    }
    assert set(result.intervals) == names
    for name in names - {"recall_at_p90"}:
        interval = result.intervals[name]
        assert interval.low <= getattr(result, name) <= interval.high
    assert evaluate(PAIRS, TRUTH).intervals == {}


def test_queries_that_only_predictions_name_count_as_without_match() -> None:
    result = evaluate(PAIRS, TruthPairs.from_pairs([("crop1", "R1")]))
    assert result.counts["queries"] == 6
    assert result.uap == 1


def test_json_is_plain_and_has_the_contract_names() -> None:
    text = json.loads(
        json.dumps(evaluate(PAIRS, TRUTH, bootstrap=10, groups={"crop1": "A"}).to_json())
    )
    assert {"uap", "recall_at_p90", "threshold_at_p90", "recall_at_1", "recall_at_10"} <= set(text)
    assert text["by_kind"]["crop"]["queries"] == 2
    low, high = text["by_kind"]["crop"]["intervals"]["recall_at_1"]
    assert 0 < low < high == 1
    assert len(text["intervals"]["uap"]) == 2


def test_missing_predictions_are_listed() -> None:
    assert missing_predictions(PAIRS.take([0, 1]), TRUTH).tolist() == [
        "blur1",
        "hard1",
        "hard2",
        "other",
    ]


@pytest.mark.parametrize("precision", [0.0, 1.5])
def test_a_precision_outside_its_range_is_refused(precision: float) -> None:
    with pytest.raises(AslError, match="precision"):
        evaluate(PAIRS, TRUTH, precision=precision)


def test_the_curve_holds_the_operating_points_and_stays_short() -> None:
    rng = np.random.default_rng(0)
    names = [f"q{n}" for n in range(3000)]
    pairs = ScoredPairs.from_ids(
        names * 2, ["r"] * 3000 + ["s"] * 3000, rng.normal(size=6000) + np.repeat([2, 0], 3000)
    )
    result = evaluate(pairs, TruthPairs.from_pairs([(name, "r") for name in names]))
    recall, precision, score = result.curve
    assert 400 <= len(recall) <= 405
    at = int(np.argmin(np.abs(recall - result.recall_at_p90)))
    assert (recall[at], score[at]) == (result.recall_at_p90, result.threshold_at_p90)
    assert precision[at] >= 0.9
    assert recall[-1] == 1
