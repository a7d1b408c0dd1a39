from __future__ import annotations

import numpy as np
import pytest

from asl.index.exact.exact_search import search
from asl.scoring.score import (
    MODES,
    Score,
    ScoreNormalization,
    describe_pairs,
    encode_queries,
    encode_references,
    pair_scores,
)
from asl.types import AslError, Embeddings, ScoredPairs

QUERY = Embeddings.from_features(["q"], [[3.0, 4.0]]).as_queries()  # norm 5
REFERENCE = Embeddings.from_features(["r"], [[2.0, 0.0]]).as_references()  # norm 2
ONE = {"query_index": np.array([0]), "reference_index": np.array([0])}
EXCESS = np.log(5.0) - np.log(2.0)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (Score("cosine"), 0.6),
        (Score("paper"), -np.inf),
        (Score("paper", tau=1.0), 0.6),
        (Score("strict"), -np.inf),
        (Score("soft", lam=0.1), 0.6 - 0.1 * EXCESS),
        (Score("soft", lam=0.1, clip=(0.0, 1.0)), 0.6 - 0.1 * (1.0 - np.log(2.0))),
        (Score("hinge", lam=0.1), 0.6 - 0.1 * EXCESS),
        (Score("hinge", lam=0.1, tau=0.5), 0.6 - 0.1 * (EXCESS - 0.5)),
        (Score("hinge", lam=0.1, tau=1.0), 0.6),
    ],
)
def test_worked_by_hand(score: Score, expected: float) -> None:
    assert pair_scores(QUERY, REFERENCE, score=score, **ONE)[0] == pytest.approx(expected, rel=1e-6)


def test_the_right_direction_costs_nothing_under_hinge() -> None:
    queries, references = REFERENCE.as_queries(), QUERY.as_references()
    assert pair_scores(queries, references, score=Score("hinge", lam=9.0), **ONE)[
        0
    ] == pytest.approx(0.6)
    assert pair_scores(queries, references, score=Score("strict"), **ONE)[0] == pytest.approx(0.6)


@pytest.mark.parametrize("mode", ["paper", "strict"])
def test_rounding_does_not_decide_whether_an_image_is_a_copy_of_itself(mode: str) -> None:
    for factor, admitted in ((1 + 1e-6, True), (1 + 1e-4, False)):
        queries = Embeddings.from_features(["q"], [[3.0 * factor, 4.0 * factor]]).as_queries()
        references = QUERY.as_references()
        score = Score(mode)  # type: ignore[arg-type]
        assert np.isfinite(pair_scores(queries, references, score=score, **ONE)[0]) == admitted
        pairs = search(queries, references, score=score, engine="exact")
        assert len(pairs) == admitted


def test_the_direction_is_unclear_between_norms_that_are_nearly_as_large() -> None:
    factors = np.array([1 / 4.01, 1 / 3.99, 1.0, 3.99, 4.01])
    queries = Embeddings.from_features([f"q{n}" for n in range(5)], factors[:, None] * [[3.0, 4.0]])
    pairs = ScoredPairs.from_ids(queries.ids, ["q"] * 5, np.ones(5))
    columns = describe_pairs(pairs, queries.as_queries(), QUERY.as_references())
    expected = ["reference->query", "unclear", "unclear", "unclear", "query->reference"]
    assert columns["direction"].tolist() == expected


def some(count: int, prefix: str, seed: int) -> Embeddings:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 8)) * rng.lognormal(0, 0.5, size=(count, 1))
    return Embeddings.from_features([f"{prefix}{n}" for n in range(count)], features)


RULES = (None, ScoreNormalization(2.0, 0, 9), ScoreNormalization(2.5, 0, 4, "stretch"))


@pytest.mark.parametrize("rule", RULES, ids=["plain", "subtract", "stretch"])
@pytest.mark.parametrize("mode", ["cosine", "soft"])
def test_the_inner_product_of_the_encoded_vectors_is_the_score(
    mode: str, rule: ScoreNormalization | None
) -> None:
    queries, references = some(20, "q", 1).as_queries(), some(30, "r", 2).as_references()
    background = some(40, "b", 3).as_background()
    score = Score(mode, lam=0.3, clip=(-0.2, 2.0), normalization=rule)  # type: ignore[arg-type]
    products = (
        encode_queries(queries, score, background=background)
        @ encode_references(references, score).T
    )
    every = {
        "query_index": np.repeat(np.arange(20), 30),
        "reference_index": np.tile(np.arange(30), 20),
    }
    expected = pair_scores(queries, references, score=score, background=background, **every)
    assert np.allclose(products.ravel(), expected, atol=2e-6)


def test_modes_that_are_no_inner_product_say_so() -> None:
    for mode in set(MODES) - {"cosine", "soft"}:
        with pytest.raises(AslError, match="no inner product"):
            encode_queries(QUERY, Score(mode))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "cosin"},
        {"mode": "hinge", "lam": -1.0},
        {"mode": "soft", "clip": (1.0, 0.0)},
        {"mode": "hinge", "tau": float("nan")},
    ],
)
def test_wrong_constants_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(AslError):
        Score(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "score",
    [
        *(Score(mode, lam=0.3, tau=-0.2) for mode in ("cosine", "paper", "strict", "hinge")),
        Score("soft", lam=0.3, clip=(0.0, 1.0)),
    ],
    ids=lambda score: score.mode,
)
def test_no_score_exceeds_the_largest(score: Score) -> None:
    features = [[norm, 0.0] for norm in (0.1, 1.0, 2.0, 9.0)]
    both = Embeddings.from_features(list("abcd"), features)
    query, reference = (grid.ravel() for grid in np.indices((4, 4)))
    values = pair_scores(
        both.as_queries(),
        both.as_references(),
        score=score,
        query_index=query,
        reference_index=reference,
    )
    assert values.max() == pytest.approx(score.largest()), "of equal directions"


def test_only_images_bound_a_normalised_score_and_an_unclipped_soft_one() -> None:
    assert np.isinf(Score("soft").largest())
    assert np.isinf(Score("hinge", normalization=ScoreNormalization()).largest())
