"""The weighted pass equals scoring the drawn list; intervals cover what they should."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl.metrics.average_precision import average_precision, rank, recall_at_precision
from asl.metrics.intervals import Interval, WeightedRanking, bootstrap_replicates, query_weights
from asl.types import AslError, ScoredPairs, TruthPairs

EVERY = [(f"q{q}", f"r{r}") for q in range(5) for r in range(4)]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_weights_equal_a_list_with_copies(data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(EVERY), unique=True, min_size=1, max_size=20))
    truth = data.draw(st.sets(st.sampled_from(EVERY), min_size=1, max_size=8))
    scores = [data.draw(st.integers(0, 4)) for _ in chosen]
    ranking = rank(
        ScoredPairs.from_ids([q for q, _ in chosen], [r for _, r in chosen], scores),
        TruthPairs.from_pairs(sorted(truth)),
    )
    weights = np.array([data.draw(st.integers(0, 3)) for _ in ranking.queries])
    times = dict(zip(ranking.queries.tolist(), weights.tolist(), strict=True))
    copies = [
        (f"{q}.{n}", r, s)
        for (q, r), s in zip(chosen, scores, strict=True)
        for n in range(times[q])
    ]
    drawn = [(f"{q}.{n}", r) for q, r in sorted(truth) for n in range(times[q])]
    got = WeightedRanking(ranking).score(weights)
    if not drawn:
        assert got == (0.0, 0.0)
        return
    listed = rank(
        ScoredPairs.from_ids(
            [c[0] for c in copies], [c[1] for c in copies], [c[2] for c in copies]
        ),
        TruthPairs.from_pairs(drawn),
    )
    # Copies of equal scores tie; the weighted pass keeps the copies of one prediction together,
    # which is the same unless two *different* predictions tie, where it still counts all false ones
    # first.
    assert got == pytest.approx(
        (average_precision(listed), recall_at_precision(listed, 0.9).recall)
    )


def many(queries: int = 4000, per_query: int = 4, seed: int = 0) -> tuple[ScoredPairs, TruthPairs]:
    rng = np.random.default_rng(seed)
    names = [f"q{n}" for n in range(queries) for _ in range(per_query)]
    places = [f"r{n}" for _ in range(queries) for n in range(per_query)]
    labels = np.tile(np.arange(per_query) == 0, queries) & (
        np.repeat(np.arange(queries), per_query) % 2 == 0
    )
    pairs = ScoredPairs.from_ids(names, places, rng.normal(size=len(names)) + 2 * labels)
    return pairs, TruthPairs.from_pairs([(f"q{n}", "r0") for n in range(0, queries, 2)])


def test_two_hundred_replicates_of_sixteen_thousand_pairs_take_about_a_second() -> None:
    ranking = rank(*many())
    start = time.perf_counter()
    draws = bootstrap_replicates(ranking, {}, replicates=200, seed=0)
    assert time.perf_counter() - start < 5
    interval = Interval.of(draws["uap"])
    assert interval.low < average_precision(ranking) < interval.high
    assert 0.005 < interval.high - interval.low < 0.1


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    population = average_precision(rank(*many(20000, seed=99)))
    covered = 0
    for seed in range(40):
        draws = bootstrap_replicates(rank(*many(300, seed=seed)), {}, replicates=100, seed=seed)
        interval = Interval.of(draws["uap"])
        covered += interval.low <= population <= interval.high
    assert 32 <= covered <= 40


def test_the_same_seed_gives_the_same_draws_and_another_does_not() -> None:
    first, again, other = (np.stack(list(query_weights(50, 3, seed))) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.all(first.sum(axis=1) == 50)


def test_one_replicate_is_no_interval() -> None:
    with pytest.raises(AslError, match="at least 2"):
        list(query_weights(10, 1, 0))
