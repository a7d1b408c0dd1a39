"""µAP and recall at a precision: the official tool's values, a slow loop, an outside library."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl.data.pairs import read_pairs
from asl.data.truth import read_truth
from asl.metrics.average_precision import (
    average_precision,
    precision_recall_curve,
    rank,
    recall_at_precision,
)
from asl.metrics.per_query import group_by_query, recall_at
from asl.types import AslError, ScoredPairs, TruthPairs

TRUTH = TruthPairs.from_pairs([(f"Q{n}", f"R{n}") for n in (1, 2, 3, 4)])
Triple = tuple[str, str, float]


def scored(*triples: Triple) -> ScoredPairs:
    return ScoredPairs.from_ids(
        [t[0] for t in triples], [t[1] for t in triples], [t[2] for t in triples]
    )


GOLDEN = [
    (
        [
            ("Q1", "R1", 0.9),
            ("Q9", "R1", 0.8),
            ("Q2", "R2", 0.7),
            ("Q3", "R3", 0.6),
            ("Q4", "R9", 0.5),
        ],
        0.604167,
        0.25,
        0.9,
        0.75,
        0.75,
    ),
    ([("Q1", "R1", 0.9), ("Q9", "R1", 0.9), ("Q2", "R2", 0.9)], 0.291667, 0.0, None, 0.5, 0.5),
    (
        [("Q1", "R1", 0.9), ("Q2", "R2", 0.8), ("Q3", "R3", 0.7), ("Q4", "R4", 0.6)],
        1.0,
        1.0,
        0.6,
        1.0,
        1.0,
    ),
    ([("Q9", "R1", 0.9), ("Q2", "R2", 0.8)], 0.125, 0.0, None, 0.25, 0.25),
    ([("Q1", "R1", 0.5), ("Q1", "R5", 0.5), ("Q2", "R2", 0.8)], 0.416667, 0.25, 0.8, 0.25, 0.5),
]


@pytest.mark.parametrize(("triples", "uap", "recall", "threshold", "at_1", "at_10"), GOLDEN)
def test_values_of_the_official_tool(
    triples: list[Triple],
    uap: float,
    recall: float,
    threshold: float | None,
    at_1: float,
    at_10: float,
) -> None:
    ranking = rank(scored(*triples), TRUTH)
    point = recall_at_precision(ranking, 0.9)
    assert average_precision(ranking) == pytest.approx(uap, abs=1e-6)
    assert (point.recall, point.threshold) == (pytest.approx(recall), threshold)
    groups = group_by_query(ranking)
    assert (recall_at(groups, 1), recall_at(groups, 10)) == pytest.approx((at_1, at_10))


@pytest.mark.shared
def test_official_numbers_on_a_ranking_full_of_ties(shared_data: Path) -> None:
    expected = json.loads((shared_data / "golden/isc_expected.json").read_text())[
        "isc_subset1_ties"
    ]
    pairs = read_pairs(shared_data / "golden/isc_subset1_ties.csv")
    ranking = rank(pairs, read_truth(shared_data / "isc2021/subset_1_ground_truth.csv"))
    point = recall_at_precision(ranking, 0.9)
    groups = group_by_query(ranking)
    assert average_precision(ranking) == pytest.approx(expected["average_precision"], abs=1e-12)
    assert point.recall == pytest.approx(expected["recall_at_p90"], abs=1e-12)
    assert point.threshold == expected["threshold_at_p90"]
    assert recall_at(groups, 1) == pytest.approx(expected["recall_at_rank1"], abs=1e-12)
    assert recall_at(groups, 10) == pytest.approx(expected["recall_at_rank10"], abs=1e-12)


@pytest.mark.shared
def test_numbers_of_the_video_challenge(shared_data: Path) -> None:
    golden = json.loads((shared_data / "golden/vsc2022_uap_cases.json").read_text())
    truth = TruthPairs.from_pairs([(str(q), str(r)) for q, r in golden["gt"]])
    for case in golden["cases"]:
        ranking = rank(scored(*((str(q), str(r), s) for q, r, s in case["pred"])), truth)
        assert average_precision(ranking) == pytest.approx(case["uap"], abs=1e-12)


def slow_scores(
    triples: list[Triple], truth: set[tuple[str, str]]
) -> tuple[float, float, float | None]:
    """The definition, one prediction at a time."""
    ordered = sorted(triples, key=lambda t: (-t[2], (t[0], t[1]) in truth))
    area = best = 0.0
    found, threshold = 0, None
    for place, (query, reference, score) in enumerate(ordered, 1):
        if (query, reference) in truth:
            found += 1
            area += found / place / len(truth)
        if found / place >= 0.9 and found / len(truth) > best:
            best, threshold = found / len(truth), score
    return area, best, threshold


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[Triple], set[tuple[str, str]]]:
    every = [(f"q{q}", f"r{r}") for q in range(4) for r in range(4)]
    chosen = draw(st.lists(st.sampled_from(every), unique=True, max_size=16))
    truth = draw(st.sets(st.sampled_from(every), min_size=1, max_size=8))
    return [(q, r, draw(st.integers(-3, 3)) / 4) for q, r in chosen], truth


@settings(max_examples=200, deadline=None)
@given(problems(), st.randoms(use_true_random=False))
def test_equals_the_definition_in_any_order_of_the_predictions(problem, random) -> None:
    triples, pairs = problem
    random.shuffle(triples)
    ranking = rank(scored(*triples), TruthPairs.from_pairs(sorted(pairs)))
    uap, recall, threshold = slow_scores(triples, pairs)
    assert average_precision(ranking) == pytest.approx(uap)
    point = recall_at_precision(ranking, 0.9)
    assert (point.recall, point.threshold) == (pytest.approx(recall), threshold)


@settings(max_examples=100, deadline=None)
@given(problems())
def test_only_the_order_of_scores_counts_and_more_rank_is_never_worse(problem) -> None:
    triples, pairs = problem
    truth = TruthPairs.from_pairs(sorted(pairs))
    value = average_precision(rank(scored(*triples), truth))
    moved = [(q, r, np.exp(s) - 100) for q, r, s in triples]
    assert average_precision(rank(scored(*moved), truth)) == pytest.approx(value)
    for number, (query, reference, _) in enumerate(triples):
        if (query, reference) in pairs:
            lifted = [*triples[:number], (query, reference, 99.0), *triples[number + 1 :]]
            assert average_precision(rank(scored(*lifted), truth)) >= value - 1e-12


@settings(max_examples=100, deadline=None)
@given(problems())
def test_the_trapezoid_is_never_above_the_rectangle(problem) -> None:
    triples, pairs = problem
    ranking = rank(scored(*triples), TruthPairs.from_pairs(sorted(pairs)))
    assert average_precision(ranking, area="trapezoid") <= average_precision(ranking) + 1e-12


def test_trapezoid_by_hand() -> None:
    # Places 1 and 3 of two true pairs: (1 + 1)/2, then (1/2 + 2/3)/2.
    truth = TruthPairs.from_pairs([("Q1", "R1"), ("Q2", "R2")])
    ranking = rank(scored(("Q1", "R1", 3), ("Q1", "R2", 2), ("Q2", "R2", 1)), truth)
    assert average_precision(ranking, area="trapezoid") == pytest.approx((1 + 7 / 12) / 2)


def separable() -> tuple[np.ndarray, np.ndarray, float]:
    rng = np.random.default_rng(0)
    labels = rng.random(500) < 0.2
    scores = rng.permutation(500) / 700 + 0.2501 * labels
    triples = [(f"q{n}", "r", s) for n, s in enumerate(scores)]
    truth = TruthPairs.from_pairs([(f"q{n}", "r") for n in np.flatnonzero(labels)])
    return labels, scores, average_precision(rank(scored(*triples), truth))


def test_equals_scikit_learn_where_definitions_meet() -> None:
    """Without ties and with every true pair predicted; scikit-learn gives ties one threshold."""
    sklearn = pytest.importorskip("sklearn.metrics")
    labels, scores, value = separable()
    assert value == pytest.approx(sklearn.average_precision_score(labels, scores), abs=1e-12)
    # Where they differ: all tied, two true in three. Ours counts the false one first.
    tied = rank(
        scored(("a", "r", 0.5), ("b", "r", 0.5), ("c", "r", 0.5)),
        TruthPairs.from_pairs([("a", "r"), ("c", "r")]),
    )
    assert average_precision(tied) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert sklearn.average_precision_score([1, 0, 1], [0.5] * 3) == pytest.approx(2 / 3)


@pytest.mark.slow
def test_equals_torchmetrics_where_definitions_meet() -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        functional = pytest.importorskip("torchmetrics.functional.classification")
    labels, scores, value = separable()
    theirs = functional.binary_average_precision(
        torch.from_numpy(scores), torch.from_numpy(labels.astype(int))
    )
    assert value == pytest.approx(float(theirs), abs=1e-5)


def test_curve_holds_every_positive() -> None:
    ranking = rank(scored(*GOLDEN[0][0]), TRUTH)
    recall, precision, score = precision_recall_curve(ranking)
    assert recall == pytest.approx([0.25, 0.5, 0.75])
    assert precision == pytest.approx([1, 2 / 3, 3 / 4])
    assert score == pytest.approx([0.9, 0.7, 0.6])


def test_signed_scores_and_single_precision_keep_their_order() -> None:
    pairs = scored(("Q1", "R1", -2), ("Q2", "R1", -1)).with_scores(
        np.array([-2, -1], dtype=np.float32)
    )
    assert average_precision(rank(pairs, TRUTH)) == pytest.approx(1 / 8)


def test_a_pair_predicted_twice_is_named() -> None:
    with pytest.raises(AslError, match=r"1 pair is predicted more than once.*'Q2', 'R7'"):
        rank(scored(("Q1", "R1", 1), ("Q2", "R7", 1), ("Q2", "R7", 0)), TRUTH)


def test_no_truth_is_refused_and_no_predictions_are_zero() -> None:
    with pytest.raises(AslError, match="no true pair"):
        rank(scored(("a", "b", 1)), TruthPairs.from_pairs([], other_queries=["a"]))
    nothing = rank(scored(), TRUTH)
    assert average_precision(nothing) == 0
    assert recall_at_precision(nothing, 0.9).threshold is None


def test_swapping_query_and_reference_changes_the_result() -> None:
    pairs = scored(("Q1", "R1", 1.0), ("Q2", "R2", 0.5))
    swapped = ScoredPairs(
        pairs.references, pairs.queries, pairs.reference_index, pairs.query_index, pairs.scores
    )
    assert average_precision(rank(pairs, TRUTH)) == 0.5
    assert average_precision(rank(swapped, TRUTH)) == 0


@pytest.mark.slow
def test_ten_million_predictions_in_seconds() -> None:
    rng = np.random.default_rng(0)
    queries, references = 1_000_000, 100_000
    index = np.repeat(np.arange(queries), 10)
    target = (np.arange(len(index)) * 7919) % references
    pairs = ScoredPairs(
        np.char.add("Q", np.arange(queries).astype(str)),
        np.char.add("R", np.arange(references).astype(str)),
        index,
        target,
        rng.random(len(index)),
    )
    truth = TruthPairs.from_pairs(
        [(f"Q{n}", f"R{(n * 10 * 7919) % references}") for n in range(0, queries, 10)]
    )
    start = time.perf_counter()
    value = average_precision(rank(pairs, truth))
    assert time.perf_counter() - start < 20
    assert value == pytest.approx(0.01, abs=0.002)
