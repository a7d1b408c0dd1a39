"""Metrics of one query at a time, against loops and an outside implementation."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl.metrics.average_precision import rank
from asl.metrics.per_query import (
    accuracy_at_1,
    group_by_query,
    hits_at,
    mean_average_precision,
    query_average_precision,
    recall_at,
)
from asl.types import ScoredPairs, TruthPairs

EVERY = [(f"q{q}", f"r{r}") for q in range(4) for r in range(5)]


@st.composite
def problems(draw: st.DrawFn):
    chosen = draw(st.lists(st.sampled_from(EVERY), unique=True, max_size=20))
    truth = draw(st.sets(st.sampled_from(EVERY), min_size=1, max_size=8))
    return [(q, r, draw(st.integers(-3, 3)) / 4) for q, r in chosen], truth


def grouped(triples, truth):
    pairs = ScoredPairs.from_ids(
        [t[0] for t in triples], [t[1] for t in triples], [t[2] for t in triples]
    )
    ranking = rank(pairs, TruthPairs.from_pairs(sorted(truth), other_queries=["lonely"]))
    return ranking, group_by_query(ranking)


@settings(max_examples=200, deadline=None)
@given(problems(), st.sampled_from([1, 2, 10]))
def test_recall_at_k_equals_the_definition(problem, k: int) -> None:
    triples, truth = problem
    hits = 0
    for query, reference in truth:
        own = [s for q, r, s in triples if (q, r) == (query, reference)]
        as_good = sum(q == query and s >= own[0] for q, _, s in triples) if own else 10**9
        hits += as_good - 1 < k
    assert recall_at(grouped(triples, truth)[1], k) == pytest.approx(hits / len(truth))


@settings(max_examples=200, deadline=None)
@given(problems(), st.sampled_from(["rectangle", "trapezoid"]))
def test_average_precision_per_query_equals_the_definition(problem, area) -> None:
    triples, truth = problem
    ranking, groups = grouped(triples, truth)
    values = query_average_precision(groups, area=area)
    for row, query in enumerate(ranking.queries.tolist()):
        own = {pair for pair in truth if pair[0] == query}
        if not own:
            assert np.isnan(values[row])
            continue
        listed = sorted((t for t in triples if t[0] == query), key=lambda t: (-t[2], t[:2] in own))
        total, found = 0.0, 0
        for place, triple in enumerate(listed):
            if triple[:2] in own:
                before = found / place if place else 1.0
                found += 1
                total += (
                    found / (place + 1)
                    if area == "rectangle"
                    else (before + found / (place + 1)) / 2
                )
        assert values[row] == pytest.approx(total / len(own))


@settings(max_examples=100, deadline=None)
@given(problems())
def test_accuracy_at_1_equals_the_definition(problem) -> None:
    triples, truth = problem
    right = 0
    matched = sorted({query for query, _ in truth})
    for query in matched:
        listed = sorted(
            (t for t in triples if t[0] == query), key=lambda t: (-t[2], t[:2] in truth)
        )
        right += bool(listed) and listed[0][:2] in truth
    assert accuracy_at_1(grouped(triples, truth)[1]) == pytest.approx(right / len(matched))


def test_two_true_references_of_one_query_both_count() -> None:
    triples = [("q0", "r0", 0.9), ("q0", "r1", 0.8), ("q0", "r2", 0.7)]
    ranking, groups = grouped(triples, {("q0", "r0"), ("q0", "r1"), ("q1", "r1")})
    assert recall_at(groups, 1) == pytest.approx(1 / 3)
    assert recall_at(groups, 10) == pytest.approx(2 / 3)
    assert hits_at(groups, 2)[ranking.queries.tolist().index("q0")] == 2
    assert mean_average_precision(groups) == pytest.approx(0.5)


@pytest.mark.slow
def test_macro_map_equals_torchmetrics_without_ties() -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        retrieval = pytest.importorskip("torchmetrics.retrieval")
    rng = np.random.default_rng(3)
    scores = (
        rng.permutation(20) + 1
    ) / 21  # their code leaves out predictions whose score is exactly 0
    truth = {EVERY[n] for n in (0, 3, 6, 12, 13, 19)}
    triples = [(q, r, s) for (q, r), s in zip(EVERY, scores, strict=True)]
    metric = retrieval.RetrievalMAP(empty_target_action="skip")
    labels = torch.tensor([pair in truth for pair in EVERY])
    theirs = metric(
        torch.from_numpy(scores), labels, indexes=torch.tensor([int(q[1:]) for q, _ in EVERY])
    )
    assert mean_average_precision(grouped(triples, truth)[1]) == pytest.approx(
        float(theirs), abs=1e-6
    )
