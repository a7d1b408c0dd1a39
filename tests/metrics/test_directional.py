"""Norms against direction: hand-worked, brute force, and the answer of swapped roles."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl.metrics.directional import auroc, directional, order_accuracy, uap_both_directions
from asl.types import AslError, QueryEmbeddings, ReferenceEmbeddings, ScoredPairs, TruthPairs

TRUTH = TruthPairs.from_pairs(
    [("a", "R"), ("b", "S"), ("c", "S")],
    other_queries=["h"],
    kinds={"a": "crop", "b": "crop", "c": "pad", "h": "hard:video"},
)
UNIT = np.eye(4, dtype=np.float32)
QUERIES = QueryEmbeddings(["a", "b", "c", "h"], UNIT, np.array([0.0, 1.0, 3.0, 2.5]))
REFERENCES = ReferenceEmbeddings(["R", "S"], UNIT[:2], np.array([1.0, 2.0]))


def test_by_hand() -> None:
    result = directional(TRUTH, QUERIES, REFERENCES)
    assert result.differences["true"] == pytest.approx([1, 1, -1])
    assert result.norm_order_accuracy == pytest.approx(2 / 3)
    assert result.by_kind == {"crop": (1.0, 2), "pad": (0.0, 1)}
    # d = +1 +1 -1 against -1 -1 +1: of 9 pairs 4 above, 4 equal, 1 below.
    assert result.auroc_reversed == pytest.approx(6 / 9)
    assert result.auroc_hard is None
    json.dumps(result.to_json())


def test_hard_negatives_are_those_of_the_best_prediction() -> None:
    pairs = ScoredPairs.from_ids(["h", "h", "a"], ["R", "S", "R"], [0.2, 0.8, 0.9])
    result = directional(TRUTH, QUERIES, REFERENCES, hard=pairs)
    assert result.differences["hard"] == pytest.approx([-0.5])
    assert result.auroc_hard == pytest.approx(2 / 3)


def test_swapping_the_roles_turns_the_direction_round() -> None:
    turned = TruthPairs.from_pairs([("R", "a"), ("S", "b"), ("S", "c")])
    result = directional(turned, REFERENCES.as_queries(), QUERIES.as_references())
    assert result.norm_order_accuracy == pytest.approx(1 / 3)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=8),
    st.lists(st.integers(-3, 3), min_size=1, max_size=8),
)
def test_auroc_equals_the_definition(positive: list[int], negative: list[int]) -> None:
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    assert auroc(positive, negative) == pytest.approx(wins / len(positive) / len(negative))
    assert auroc(positive, negative) + auroc(negative, positive) == pytest.approx(1)


def test_auroc_equals_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    values, labels = rng.integers(0, 30, 400), rng.random(400) < 0.3
    assert auroc(values[labels], values[~labels]) == pytest.approx(
        metrics.roc_auc_score(labels, values)
    )


def test_a_symmetric_score_cannot_pass_for_a_direction() -> None:
    same = np.array([0.9, 0.5, 0.4])
    # Places 2, 4, 6 hold the true ones: 1/2 each.
    assert uap_both_directions(same, same) == pytest.approx(0.5)
    assert uap_both_directions(same, same - 1) == 1
    assert uap_both_directions(same - 1, same) < 0.5


def test_equal_norms_count_half() -> None:
    assert order_accuracy([1, 0, -1, 0]) == 0.5


def test_pairs_without_embedding_are_left_out_and_counted() -> None:
    result = directional(TRUTH, QUERIES, REFERENCES.take([1]))
    assert (result.pairs, result.missing) == (2, 1)
    assert result.differences["true"] == pytest.approx([1, -1])
    assert result.by_kind == {"crop": (1.0, 1), "pad": (0.0, 1)}


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(AslError, match=r"no pair.*'a' -> 'R'"):
        directional(TRUTH, REFERENCES.as_queries(), REFERENCES)
    with pytest.raises(AslError, match="no true pair"):
        directional(TruthPairs.from_pairs([], other_queries=["a"]), QUERIES, REFERENCES)
    with pytest.raises(AslError, match="auroc"):
        auroc([], [1])
    with pytest.raises(AslError, match="one score per pair"):
        uap_both_directions([1], [1, 2])
