"""The time left over several stages: right where the costs are, and without jumps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from asl.console.time_left import FASTER, SLOWER, Stage, TimeLeft

STAGES = [Stage("first", 10.0), Stage("second", 30.0), Stage("third", 60.0)]


def run(seconds: list[float], step: float = 0.5) -> Iterator[tuple[float, float]]:
    """Yield (time, shown time left) of stages that really take some seconds."""
    left, now = TimeLeft(STAGES, 0.0), 0.0
    for stage, length in enumerate(seconds):
        left.begin(stage, now)
        began = now
        while now < began + length:
            now += step
            left.update(min(1.0, (now - began) / length), now)
            shown = left.shown(now)
            if shown is not None:
                yield now, shown


def test_where_the_costs_are_right_the_time_is() -> None:
    for now, shown in run([20.0, 60.0, 120.0]):
        assert shown == pytest.approx(200.0 - now, abs=1.0)


@pytest.mark.parametrize(
    "seconds", [[20.0, 300.0, 120.0], [20.0, 6.0, 12.0], [5.0, 5.0, 200.0], [60.0, 2.0, 20.0]]
)
def test_where_they_are_wrong_it_does_not_jump(seconds: list[float]) -> None:
    shown = list(run(seconds))
    for (before, first), (after, second) in pairwise(shown):
        passed = after - before
        assert second - first <= SLOWER * passed + 1e-9
        assert second >= (1 - FASTER * passed) * (first - passed) - 1e-9
    assert shown[-1][1] <= 4.0, "the last seconds are known"


def test_a_stage_that_is_left_out_counts_as_done() -> None:
    left = TimeLeft(STAGES, 0.0)
    left.begin(0, 0.0)
    left.update(0.0, 0.0)
    assert left.shown(0.0) is None, "nothing is known yet"
    left.update(1.0, 10.0)
    left.begin(2, 10.0)
    assert left.done == pytest.approx(0.4)
    left.update(1.0, 70.0)
    assert left.done == 1.0


def test_the_time_goes_on_between_updates_and_late_news_of_many_units_are_taken() -> None:
    left = TimeLeft([Stage("all", 1.0)], 0.0)
    left.begin(0, 0.0)
    left.update(0.1, 10.0)
    assert left.shown(10.0) == pytest.approx(90.0)
    assert left.shown(30.0) == pytest.approx(70.0)
    for done in range(11, 51):  # a chunk arrives at once
        left.update(done / 100, 50.0)
    assert left.shown(50.0) == pytest.approx(50.0)


def test_a_stage_whose_results_were_there_says_nothing_of_the_others() -> None:
    """A second scan finds the embeddings of the first one, and compares other pairs."""
    left = TimeLeft([Stage("embed", 100.0), Stage("compare", 300.0)], 0.0, prior=0.05)
    left.begin(0, 0.0)
    left.update(1.0, 2.0)
    assert left.shown(2.0) == pytest.approx(300.0)
    left.begin(1, 2.0)
    left.update(0.5, 302.0)
    assert left.shown(1000.0) == 0.0
    left.update(0.5, 1000.0)
    assert left.shown(1400.0) == pytest.approx(998.0 - 400.0, rel=0.01), "twice as slow"


def test_costs_in_seconds_are_trusted_at_first() -> None:
    left = TimeLeft(STAGES, 0.0, prior=0.05)
    left.begin(0, 0.0)
    left.update(0.001, 0.5)  # a slow start, fifty times the expected rate
    assert left.shown(0.5) == pytest.approx(100.0, rel=0.15)


def test_the_first_stage_of_long_work_shows_how_fast_the_machine_is() -> None:
    """A scan of 12,000 photographs on a machine that takes .42 of the expected time."""
    stages = [Stage("embed", 137.0), Stage("extract", 324.0), Stage("compare", 1500.0)]
    left = TimeLeft(stages, 0.0, prior=0.05)
    left.begin(0, 0.0)
    for second in range(1, 59):
        left.update(second / 58, float(second))
        shown = left.shown(float(second))
    assert shown == pytest.approx(0.42 * (324 + 1500), rel=0.12)


def test_the_number_of_units_replaces_the_expected_cost() -> None:
    left = TimeLeft([Stage("test", 10.0), Stage("compare", 40.0, 0.1)], 0.0)
    left.begin(0, 0.0)
    left.update(1.0, 20.0)
    assert left.shown(20.0) == pytest.approx(80.0)
    left.begin(1, 20.0)
    left.update(0.0, 20.0, units=1000)
    assert left.shown(10_000.0) == 0.0
    left.update(0.0, 10_000.0, units=1000)
    assert left.done == pytest.approx(10 / 110)
