"""Paired comparison: sure of real differences, unsure of noise, antisymmetric."""

from __future__ import annotations

import numpy as np
import pytest

from asl.metrics.significance import compare
from asl.types import ScoredPairs, TruthPairs


def run(strength: float, seed: int, queries: int = 300) -> ScoredPairs:
    rng = np.random.default_rng(seed)
    names = [f"q{n}" for n in range(queries) for _ in range(4)]
    labels = np.tile([1, 0, 0, 0], queries)
    return ScoredPairs.from_ids(
        names,
        [f"r{n}" for _ in range(queries) for n in range(4)],
        rng.normal(size=len(names)) + strength * labels,
    )


TRUTH = TruthPairs.from_pairs([(f"q{n}", "r0") for n in range(300)])


def test_a_real_difference_is_seen_and_noise_is_not() -> None:
    better = compare(run(3.0, 0), run(1.0, 1), TRUTH, bootstrap=200)["uap"]
    assert better.value > 0.1
    assert better.interval.low > 0
    assert better.p_value < 0.05
    noise = compare(run(2.0, 0), run(2.0, 1), TRUTH, bootstrap=200)["uap"]
    assert noise.interval.low < 0 < noise.interval.high
    assert noise.p_value > 0.05


def test_a_run_against_itself_is_no_difference_at_all() -> None:
    for difference in compare(run(2.0, 0), run(2.0, 0), TRUTH, bootstrap=50).values():
        assert (difference.value, difference.p_value) == (0, 1)
        assert difference.interval.low == difference.interval.high == 0


def test_order_of_the_runs_only_turns_the_sign() -> None:
    there, back = (
        compare(run(2.0, 0), run(1.8, 1), TRUTH, bootstrap=50),
        compare(run(1.8, 1), run(2.0, 0), TRUTH, bootstrap=50),
    )
    for name in there:
        assert there[name].value == pytest.approx(-back[name].value)
        assert there[name].interval.low == pytest.approx(-back[name].interval.high)
        assert there[name].p_value == pytest.approx(back[name].p_value)


def test_runs_that_name_different_queries_share_the_draws() -> None:
    few = run(3.0, 0).take(np.arange(400))
    assert compare(run(3.0, 0), few, TRUTH, bootstrap=50)["recall_at_1"].value > 0.3
