import numpy as np
import pytest

from asl.scoring.normalization import ScoreNormalization, normalization_of, query_maps
from asl.types import AslError, Embeddings, UsageError


def some(count: int, prefix: str, seed: int) -> Embeddings:
    features = np.random.default_rng(seed).normal(size=(count, 6))
    return Embeddings.from_features([f"{prefix}{n}" for n in range(count)], features)


QUERIES, BACKGROUND = some(5, "q", 1).as_queries(), some(30, "b", 3).as_background()


def nearest_mean(row: int, first: int, last: int) -> float:
    cosines = sorted(
        (float(QUERIES.vectors[row] @ vector) for vector in BACKGROUND.vectors), reverse=True
    )
    return float(np.mean(cosines[first : last + 1]))


def test_subtract_takes_the_mean_of_the_chosen_neighbours_away() -> None:
    maps = query_maps(QUERIES, BACKGROUND, ScoreNormalization(2.0, 1, 3))
    for row in range(5):
        assert maps.apply(np.array([0.7]), row)[0] == pytest.approx(
            0.7 - 2.0 * nearest_mean(row, 1, 3), abs=1e-6
        )


def test_stretch_ranks_as_the_distance_to_the_stretched_query() -> None:
    """Bag of Tricks: the query times beta * mean, compared by L2 with unit references."""
    maps = query_maps(QUERIES, BACKGROUND, ScoreNormalization(2.5, 0, 4, "stretch"))
    reference = some(1, "r", 9).vectors[0]
    for row in range(5):
        stretched = 2.5 * nearest_mean(row, 0, 4) * QUERIES.vectors[row]
        distance = float(((stretched - reference) ** 2).sum())
        cosine = np.array([float(QUERIES.vectors[row] @ reference)])
        assert maps.apply(cosine, row)[0] == pytest.approx(-distance, abs=1e-5)


def test_without_a_rule_scores_stay() -> None:
    scores = np.array([[0.1, 0.2]] * 5)
    assert np.array_equal(query_maps(QUERIES, None, None).apply(scores, np.arange(5)), scores)


def test_a_query_like_nothing_keeps_its_order() -> None:
    away = Embeddings.from_features(
        ["q"], -BACKGROUND.vectors.mean(axis=0, keepdims=True)
    ).as_queries()
    gain = query_maps(
        away, BACKGROUND.take(np.arange(3)), ScoreNormalization(2.5, 2, 2, "stretch")
    ).gain
    assert gain[0] > 0


def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(AslError, match="needs 10 background images, got 4"):
        query_maps(QUERIES, BACKGROUND.take(np.arange(4)), ScoreNormalization(2.0, 9, 9))
    with pytest.raises(AslError, match="needs background embeddings"):
        query_maps(QUERIES, None, ScoreNormalization())
    with pytest.raises(AslError, match="stretching needs more than 0"):
        ScoreNormalization(-1.0, kind="stretch")
    with pytest.raises(UsageError, match="expected none, subtract or stretch"):
        normalization_of("zscore", beta=1.0, first=0, last=2)
    with pytest.raises(UsageError, match="0 <= first <= last"):
        normalization_of("subtract", beta=1.0, first=3, last=2)
