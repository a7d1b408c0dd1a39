"""Recalibration on answers: simulated collections whose true probabilities are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit

from asl.scoring.library_calibration import LibraryCalibration, recalibrate
from asl.types import AslError


def simulated(
    rng: np.random.Generator, size: int, slope: float, offset: float
) -> tuple[np.ndarray, np.ndarray]:
    """Packaged probabilities, and answers drawn from the collection's own."""
    odds = rng.normal(2.0, 1.5, size)
    return expit(odds), rng.random(size) < expit(slope * odds + offset)


def log_loss(probabilities: np.ndarray, truth: np.ndarray) -> float:
    clipped = np.clip(probabilities, 1e-9, 1 - 1e-9)
    return float(-np.where(truth, np.log(clipped), np.log1p(-clipped)).mean())


def test_without_answers_nothing_changes() -> None:
    calibration = recalibrate([], [])
    values = np.array([0.0, 1e-9, 0.3, 0.999999, 1.0])
    assert calibration.probability(values).tolist() == values.tolist()
    assert calibration.packaged(0.69) == pytest.approx(0.69)


@pytest.mark.parametrize(("slope", "offset"), [(0.6, -1.2), (1.0, -2.0), (1.4, 0.8)])
def test_answers_improve_held_out_pairs(slope: float, offset: float) -> None:
    gains = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        calibration = recalibrate(*simulated(rng, 60, slope, offset))
        held_out, truth = simulated(rng, 2000, slope, offset)
        gains.append(log_loss(held_out, truth) - log_loss(calibration.probability(held_out), truth))
    assert np.mean(gains) > 0.01
    assert sum(gain > 0 for gain in gains) >= 17


def test_where_the_package_is_right_little_is_lost() -> None:
    losses = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        calibration = recalibrate(*simulated(rng, 20, 1.0, 0.0))
        held_out, truth = simulated(rng, 2000, 1.0, 0.0)
        own, packaged = calibration.probability(held_out), held_out
        losses.append(log_loss(own, truth) - log_loss(packaged, truth))
    assert np.mean(losses) < 0.02


def test_few_answers_move_little_and_many_move_all_the_way() -> None:
    few = recalibrate([0.7, 0.8], [False, False])
    many = recalibrate([0.7, 0.8] * 100, [False, False] * 100)
    assert 0.4 < float(few.probability(0.7)) < 0.7
    assert float(many.probability(0.7)) < 0.05
    few_width = few.interval(0.7).high - few.interval(0.7).low
    many_width = many.interval(0.7).high - many.interval(0.7).low
    assert many_width < few_width / 3


def test_contradictory_answers_never_turn_the_order_round() -> None:
    calibration = recalibrate([0.55] * 30 + [0.99] * 30, [True] * 30 + [False] * 30)
    values = calibration.probability(np.linspace(0.01, 0.99, 99))
    assert np.all(np.diff(values) > 0)
    assert calibration.slope < 0.3, "but say little of each other"
    both = recalibrate([0.7, 0.7] * 20, [True, False] * 20)
    assert float(both.probability(0.7)) == pytest.approx(0.5, abs=0.05)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(1000 + seed)
        # The truth is drawn from the prior, for which the interval is made.
        slope, offset = math.exp(rng.normal(0, 0.5)), rng.normal(0, 1.0)
        interval = recalibrate(*simulated(rng, 40, slope, offset)).interval(0.69)
        truth = float(expit(slope * math.log(0.69 / 0.31) + offset))
        covered += interval.low <= truth <= interval.high
    assert 170 <= covered <= 194, "of 200; 180 are expected"


def test_precision_is_the_mean_and_its_interval_holds_it() -> None:
    calibration = recalibrate([0.7] * 20, [True] * 12 + [False] * 8)
    precision = calibration.precision([0.7, 0.9, 1.0])
    own = calibration.probability([0.7, 0.9, 1.0]).mean()
    assert precision.estimate == pytest.approx(own)
    assert precision.low < precision.estimate < precision.high
    assert calibration.precision([0.7, 0.9, 1.0]) == precision, "the same every time"


def test_packaged_is_the_inverse_and_identical_content_stays_certain() -> None:
    calibration = recalibrate([0.7] * 20, [False] * 20)
    assert calibration.packaged(float(calibration.probability(0.8))) == pytest.approx(0.8)
    assert calibration.probability(1.0) == 1.0
    assert calibration.interval(1.0).low == 1.0


def test_plain_values_give_it_back() -> None:
    calibration = recalibrate([0.7, 0.9, 0.6], [True, True, False])
    assert LibraryCalibration.from_plain(calibration.to_plain()) == calibration
    for damage in (
        {"slope": 0.0},
        {"slope": "x"},
        {"slope": math.nan},
        {"offset": math.inf},
        {"offset": math.nan},
        {"covariance": [1.0]},
        {"covariance": [math.nan, 1.0, 0.0]},
        {"covariance": [0.25, 1.0, math.inf]},
        {"covariance": [-0.25, 1.0, 0.0]},
        {"covariance": [0.25, 1.0, 0.6]},
        {"copies": -1},
        {"others": math.nan},
    ):
        with pytest.raises(AslError, match="answer again"):
            LibraryCalibration.from_plain({**calibration.to_plain(), **damage})


def test_wrong_input_is_refused() -> None:
    with pytest.raises(AslError, match="one answer per pair"):
        recalibrate([0.5], [True, False])
    with pytest.raises(AslError, match=r"0\.\.1"):
        recalibrate([1.5], [True])
