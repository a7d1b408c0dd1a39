from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from asl.scoring.calibration import Calibration, calibrate
from asl.scoring.score import Score
from asl.types import AslError

HINGE = Score("hinge", lam=0.05, tau=0.1)


def drawn(seed: int = 0, queries: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    correct = rng.random(queries) < 0.4
    scores = rng.normal(np.where(correct, 0.7, 0.45), 0.1)
    return scores, correct, np.arange(queries)


def test_the_curve_is_that_of_scikit_learn() -> None:
    scores, correct, query = drawn()
    ours = calibrate(HINGE, scores, correct, query=query, true_pairs=int(correct.sum()))
    theirs = LogisticRegression(C=1e9, tol=1e-10).fit(scores[:, None], correct)
    grid = np.linspace(0.2, 1.0, 30)
    assert np.allclose(ours.probability(grid), theirs.predict_proba(grid[:, None])[:, 1], atol=0.01)


def test_probabilities_are_frequencies() -> None:
    scores, correct, query = drawn()
    fitted = calibrate(HINGE, scores, correct, query=query, true_pairs=int(correct.sum()))
    fresh, labels, _ = drawn(seed=1)
    probability = fitted.probability(fresh)
    for low in (0.1, 0.3, 0.5, 0.7):
        inside = (probability >= low) & (probability < low + 0.2)
        assert abs(labels[inside].mean() - probability[inside].mean()) < 0.08


def test_only_the_best_pair_of_a_query_counts_for_the_curve() -> None:
    scores, correct, query = drawn(queries=300)
    extra = calibrate(
        HINGE,
        np.r_[scores, scores - 1],
        np.r_[correct, ~correct],
        query=np.r_[query, query],
        true_pairs=300,
    )
    alone = calibrate(HINGE, scores, correct, query=query, true_pairs=300)
    assert (extra.slope, extra.offset) == (alone.slope, alone.offset)


def test_thresholds_by_hand() -> None:
    #          1    1    0    1    0 and a true pair that was never found; the tie at 0.6 is taken
    # whole
    scores = [0.9, 0.8, 0.7, 0.6, 0.6]
    fitted = calibrate(
        HINGE,
        scores,
        [1, 1, 0, 1, 0],
        query=[0, 1, 2, 3, 4],
        true_pairs=4,
        hard_queries=[2, 9],
        precisions=[1.0, 0.6],
    )
    low, high = fitted.thresholds
    assert (low.precision, low.threshold, low.recall, low.hard_false_match_rate) == (
        0.6,
        0.6,
        0.75,
        0.5,
    )
    assert (high.precision, high.threshold, high.recall, high.hard_false_match_rate) == (
        1.0,
        0.8,
        0.5,
        0.0,
    )
    assert fitted.threshold(0.9) == high


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40),
    st.sampled_from([0.5, 0.9]),
)
def test_a_threshold_holds_its_precision_and_no_lower_one_does(
    pairs: list[tuple[int, bool]], wanted: float
) -> None:
    scores, correct = np.array([p[0] / 7 for p in pairs]), np.array([p[1] for p in pairs])
    if correct.all() or not correct.any():
        return
    fitted = calibrate(
        HINGE,
        scores,
        correct,
        query=np.arange(len(pairs)),
        true_pairs=int(correct.sum()),
        precisions=[wanted],
    )
    holds = [value for value in np.unique(scores) if correct[scores >= value].mean() >= wanted]
    assert [row.threshold for row in fitted.thresholds] == ([min(holds)] if holds else [])
    assert fitted.slope >= 0


def test_separable_scores_stay_finite() -> None:
    fitted = calibrate(HINGE, [0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], query=range(4), true_pairs=2)
    assert 0 < fitted.probability(0.1) < 0.5 < fitted.probability(0.9) < 1


def test_a_card_keeps_everything() -> None:
    scores, correct, query = drawn(queries=200)
    fitted = calibrate(HINGE, scores, correct, query=query, true_pairs=90, hard_queries=[3])
    assert Calibration.from_card(json.loads(json.dumps(fitted.to_card()))) == fitted
    with pytest.raises(AslError, match="cannot be read"):
        Calibration.from_card({"slope": 1})


def test_what_cannot_be_fitted_says_why() -> None:
    with pytest.raises(AslError, match="true and false"):
        calibrate(HINGE, [0.1, 0.2], [1, 1], query=[0, 1], true_pairs=2)
    with pytest.raises(AslError, match="needs pairs"):
        calibrate(HINGE, [], [], query=[], true_pairs=2)
    fitted = calibrate(HINGE, [0.9, 0.8, 0.1], [0, 1, 0], query=range(3), true_pairs=1)
    with pytest.raises(AslError, match=r"0\.9 was not reached by hinge .* highest was 0\.5"):
        fitted.threshold(0.9)
