import numpy as np
import pytest

from asl.scoring.negative_subtraction import average_neighbours, subtract_negatives
from asl.types import AslError, Embeddings


def some(count: int, prefix: str, seed: int, dim: int = 6) -> Embeddings:
    features = np.random.default_rng(seed).normal(size=(count, dim))
    return Embeddings.from_features([f"{prefix}{n}" for n in range(count)], features)


QUERIES, BACKGROUND = some(7, "q", 1).as_queries(), some(40, "b", 2).as_background()


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_negatives_are_taken_away_as_the_loop_does() -> None:
    ours = subtract_negatives(QUERIES, BACKGROUND, weight=0.35, neighbours=10)
    for row, vector in enumerate(QUERIES.vectors):
        nearest = sorted(BACKGROUND.vectors, key=lambda other: -float(vector @ other))[:10]
        assert np.allclose(
            ours.vectors[row], unit(vector - 0.35 * np.mean(nearest, axis=0)), atol=1e-6
        )
    assert np.array_equal(ours.log_norms, QUERIES.log_norms)
    assert type(ours) is type(QUERIES)


def test_background_vectors_become_the_weighted_mean_of_their_neighbours() -> None:
    ours = average_neighbours(BACKGROUND, neighbours=4, power=3.0)
    for row, vector in enumerate(BACKGROUND.vectors):
        nearest = sorted(BACKGROUND.vectors, key=lambda other: -float(vector @ other))[:4]
        expected = sum(max(float(vector @ other), 0.0) ** 3 * other for other in nearest)
        assert np.allclose(ours.vectors[row], unit(expected), atol=1e-6)


def test_what_cannot_be_subtracted_is_said() -> None:
    with pytest.raises(AslError, match="10 neighbours need as many"):
        subtract_negatives(QUERIES, BACKGROUND.take(np.arange(4)))
    with pytest.raises(AslError, match="6 dimensions, the background has 3"):
        subtract_negatives(QUERIES, some(20, "b", 0, dim=3).as_background())
    alone = Embeddings.from_features(["b"], QUERIES.vectors[:1]).as_background()
    with pytest.raises(AslError, match="nothing is left of 'q0'"):
        subtract_negatives(QUERIES.take([0]), alone, weight=1.0, neighbours=1)
