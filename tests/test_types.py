from __future__ import annotations

import numpy as np
import pytest

from asl.types import (
    AslError,
    Embeddings,
    QueryEmbeddings,
    ReferenceEmbeddings,
    ScoredPairs,
    TruthPairs,
)


def test_from_features_splits_direction_and_norm() -> None:
    found = Embeddings.from_features(["a", "b"], [[3.0, 4.0], [0.0, 2.0]])
    np.testing.assert_allclose(found.vectors, [[0.6, 0.8], [0.0, 1.0]], atol=1e-7)
    np.testing.assert_allclose(found.log_norms, np.log([5.0, 2.0]), atol=1e-7)
    assert found.vectors.dtype == found.log_norms.dtype == np.float32
    assert (len(found), found.dim) == (2, 2)


@pytest.mark.parametrize("row", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_a_feature_without_direction_is_named(row: list[float]) -> None:
    with pytest.raises(AslError, match="'b'"):
        Embeddings.from_features(["a", "b"], [[1.0, 0.0], row])


def test_embeddings_refuse_what_is_not_unit() -> None:
    with pytest.raises(AslError, match="must have norm 1: has 2"):
        Embeddings(np.array(["a"]), np.array([[2.0, 0.0]], np.float32), np.zeros(1, np.float32))


@pytest.mark.parametrize(("ids", "message"), [(["a", "a"], "'a'"), (["a", ""], "empty")])
def test_ids_are_unique_and_not_empty(ids: list[str], message: str) -> None:
    with pytest.raises(AslError, match=message):
        Embeddings.from_features(ids, np.eye(2))


def test_lengths_must_agree() -> None:
    with pytest.raises(AslError, match="log_norms"):
        Embeddings(np.array(["a", "b"]), np.eye(2, dtype=np.float32), np.zeros(3, np.float32))


def test_roles_are_types() -> None:
    found = Embeddings.from_features(["a"], [[1.0]])
    assert type(found.as_queries()) is QueryEmbeddings
    assert type(found.as_references()) is ReferenceEmbeddings
    assert not isinstance(found.as_queries(), ReferenceEmbeddings)
    assert found.as_queries().vectors is found.vectors


def test_take_keeps_the_role() -> None:
    found = (
        Embeddings.from_features(["a", "b", "c"], np.diag([1.0, 2.0, 3.0]))
        .as_queries()
        .take([2, 0])
    )
    assert isinstance(found, QueryEmbeddings)
    assert found.ids.tolist() == ["c", "a"]
    np.testing.assert_allclose(found.log_norms, np.log([3.0, 1.0]), rtol=1e-6)


def test_scored_pairs_keep_order_and_precision() -> None:
    pairs = ScoredPairs.from_ids(
        ["q2", "q1", "q2"], ["r1", "r1", "r9"], np.array([0.5, -1.0, 1e-12])
    )
    assert pairs.query_ids.tolist() == ["q2", "q1", "q2"]
    assert pairs.reference_ids.tolist() == ["r1", "r1", "r9"]
    assert pairs.scores.dtype == np.float64
    assert pairs.take([2]).query_ids.tolist() == ["q2"]
    assert pairs.with_scores([1, 2, 3]).scores.tolist() == [1, 2, 3]


def test_scored_pairs_refuse_non_finite_scores_and_bad_indices() -> None:
    with pytest.raises(AslError, match="finite"):
        ScoredPairs.from_ids(["q"], ["r"], [np.nan])
    with pytest.raises(AslError, match="query_index"):
        ScoredPairs(np.array(["q"]), np.array(["r"]), np.array([1]), np.array([0]), np.array([0.5]))


def test_no_pairs_at_all() -> None:
    pairs = ScoredPairs.from_ids([], [], [])
    assert len(pairs) == 0
    assert pairs.query_ids.tolist() == []


def test_truth_lists_queries_without_a_match() -> None:
    truth = TruthPairs.from_pairs(
        [("q1", "r1"), ("q1", "r2")], other_queries=["q2"], kinds={"q2": "distractor"}
    )
    assert truth.queries.tolist() == ["q1", "q2"]
    assert len(truth) == 2


def test_truth_refuses_what_cannot_be() -> None:
    with pytest.raises(AslError, match="duplicate pair"):
        TruthPairs.from_pairs([("q", "r"), ("q", "r")])
    with pytest.raises(AslError, match="kinds"):
        TruthPairs.from_pairs([("q", "r")], kinds={"x": "crop"})
    with pytest.raises(AslError, match="not in queries"):
        TruthPairs(np.array(["q"]), np.array(["r"]), np.array(["other"]))


def test_what_was_checked_is_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    values = Embeddings.from_features(["a", "b"], np.eye(2))
    sides = QueryEmbeddings(["q"], values.vectors[:1], values.log_norms[:1]), values.as_references()
    pairs = ScoredPairs.from_ids(["q", "q"], ["a", "b"], [0.5, 0.25])
    monkeypatch.setattr(
        "asl.types.as_ids", lambda *_, **__: pytest.fail("a million ids would take a second")
    )
    assert isinstance(values.as_queries(), QueryEmbeddings)
    assert values.as_background().vectors is values.vectors
    assert pairs.take([1]).reference_ids.tolist() == ["b"]
    found = ScoredPairs.between(
        *sides, np.array([0]), np.array([1]), np.array([0.5], dtype=np.float32)
    )
    assert (found.query_ids.tolist(), found.reference_ids.tolist(), found.scores.tolist()) == (
        ["q"],
        ["b"],
        [0.5],
    )
