"""Fitting: equal to scikit-learn, calibrated, only from the columns and labels that fit."""

from __future__ import annotations

import numpy as np
import pytest

from asl.matching.decision.fit_trees import (
    MONOTONE,
    average_trees,
    calibrate,
    fit_trees,
    refine_trees,
)
from asl.matching.decision.trees import TreeModel, parse_model
from asl.matching.values import EVIDENCE
from asl.types import AslError
from tests.matching.decision.conftest import pairs


def test_the_trees_answer_as_scikit_learn_does(fitted: TreeModel) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    evidence, labels = pairs()
    classifier = HistGradientBoostingClassifier(
        max_iter=30,
        max_leaf_nodes=10,
        learning_rate=0.08,
        min_samples_leaf=20,
        l2_regularization=1.0,
        monotonic_cst=[MONOTONE.get(name, 0) for name in EVIDENCE],
        early_stopping=False,
        random_state=0,
    ).fit(evidence, labels.astype(int))
    np.testing.assert_allclose(
        fitted.log_odds(evidence), classifier.decision_function(evidence), atol=1e-9
    )


def test_calibration_makes_probabilities_of_odds(fitted: TreeModel) -> None:
    rng = np.random.default_rng(2)
    odds = rng.normal(0, 3, 4000)
    labels = rng.random(4000) < 1 / (1 + np.exp(-(0.5 * odds - 1)))
    model = calibrate(fitted, odds, labels)
    assert model.slope == pytest.approx(0.5, abs=0.05)
    assert model.offset == pytest.approx(-1, abs=0.15)


def test_only_the_named_columns_are_used() -> None:
    evidence, labels = pairs(400)
    names = ("corr_low", "diffuse")
    model = fit_trees(evidence, labels, names=names, trees=10, leaves=6)
    assert model.names == names
    odds = model.log_odds(evidence)
    assert np.corrcoef(odds, labels)[0, 1] > 0.4
    rng = np.random.default_rng(3)
    others = [place for place, name in enumerate(EVIDENCE) if name not in names]
    evidence[:, others] = rng.normal(size=(400, len(others)))
    np.testing.assert_array_equal(model.log_odds(evidence), odds)


def test_weights_move_the_answer() -> None:
    evidence, labels = pairs(200)
    plain, weighted = (
        fit_trees(evidence, labels, weights=chosen, trees=1, leaves=2)
        for chosen in (None, np.where(labels, 9.0, 1.0))
    )
    assert plain.baseline == pytest.approx(np.log(labels.mean() / (1 - labels.mean())))
    assert weighted.baseline == pytest.approx(plain.baseline + np.log(9))


def test_declared_directions_name_evidence_and_wrong_shapes_are_refused() -> None:
    assert set(MONOTONE) <= set(EVIDENCE)
    assert set(MONOTONE.values()) == {1, -1}
    evidence, labels = pairs(60)
    for bad in (evidence[:, :-1], evidence[:-1]):
        with pytest.raises(AslError, match=r"evidence: expected shape \(60, "):
            fit_trees(bad, labels)
    with pytest.raises(AslError, match="labels: expected copies and other pairs"):
        fit_trees(evidence, np.zeros(60, dtype=bool))


def test_a_refined_model_begins_at_its_calibrated_base(fitted: TreeModel) -> None:
    evidence, labels = pairs(400)
    base = calibrate(fitted, fitted.log_odds(evidence), labels)
    unchanged = refine_trees(base, evidence, labels, trees=1, learning_rate=1e-12)
    expected = base.slope * base.log_odds(evidence) + base.offset
    np.testing.assert_allclose(unchanged.log_odds(evidence), expected, atol=1e-8)
    assert unchanged.slope == 1.0


def test_refining_corrects_where_the_base_is_wrong_and_nowhere_else(fitted: TreeModel) -> None:
    evidence, labels = pairs(1200)
    column = EVIDENCE.index("outside_flat")  # no constraint on it
    evidence[:, column] = 0.0
    turned = np.arange(1200) % 4 == 0
    evidence[turned, column] = 1.0
    truth = np.where(turned, False, labels)  # of these, none is a copy
    refined = refine_trees(fitted, evidence, truth, trees=60)
    assert refined.log_odds(evidence)[turned].max() < fitted.log_odds(evidence)[turned].max() - 1
    kept = np.corrcoef(refined.log_odds(evidence)[~turned], fitted.log_odds(evidence)[~turned])
    assert kept[0, 1] > 0.9
    again = parse_model(refined.to_json(), name="refined")
    np.testing.assert_array_equal(again.log_odds(evidence), refined.log_odds(evidence))


def test_pairs_of_another_shape_are_refused(fitted: TreeModel) -> None:
    with pytest.raises(AslError, match="expected shape"):
        refine_trees(fitted, np.zeros((4, 2)), np.zeros(4, bool))


def test_an_average_is_the_mean_of_calibrated_log_odds() -> None:
    rng = np.random.default_rng(4)
    evidence = rng.uniform(0, 1, (400, len(EVIDENCE)))
    labels = evidence[:, 7] + rng.normal(0, 0.2, 400) > 0.5
    first = calibrate(fit_trees(evidence, labels, trees=6), rng.normal(0, 1, 400), labels)
    few = tuple(EVIDENCE[place] for place in (9, 3, 7))
    second = fit_trees(evidence, labels, names=few, trees=3, leaves=4)
    both = average_trees([first, second], card={"data": "both"})
    expected = (
        first.slope * first.log_odds(evidence) + first.offset + second.log_odds(evidence)
    ) / 2
    assert both.log_odds(evidence) == pytest.approx(expected)
    assert (both.slope, both.offset, both.card) == (1.0, 0.0, {"data": "both"})
    again = parse_model(both.to_json(), name="both")
    assert again.log_odds(evidence) == pytest.approx(expected)
