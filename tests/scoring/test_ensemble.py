import numpy as np
import pytest

from asl.scoring.ensemble import ensemble
from asl.types import AslError, Embeddings


def some(count: int, prefix: str, seed: int, dim: int = 6) -> Embeddings:
    features = np.random.default_rng(seed).normal(size=(count, dim))
    return Embeddings.from_features([f"{prefix}{n}" for n in range(count)], features)


QUERIES = some(7, "q", 1).as_queries()


def test_the_cosine_of_an_ensemble_is_the_weighted_mean() -> None:
    left = [some(7, "q", 1).as_queries(), some(7, "q", 2, dim=9).as_queries()]
    right = [some(5, "r", 3).as_references(), some(5, "r", 4, dim=9).as_references()]
    joined = ensemble(left, [3.0, 1.0]), ensemble(right, [3.0, 1.0])
    cosines = [a.vectors @ b.vectors.T for a, b in zip(left, right, strict=True)]
    assert np.allclose(
        joined[0].vectors @ joined[1].vectors.T, 0.75 * cosines[0] + 0.25 * cosines[1], atol=1e-6
    )
    assert np.allclose(joined[0].log_norms, 0.75 * left[0].log_norms + 0.25 * left[1].log_norms)
    assert np.allclose(ensemble([left[0]]).vectors, left[0].vectors)


def test_members_of_other_images_are_refused() -> None:
    for members, weights, message in (
        ([], None, "at least one"),
        ([QUERIES, QUERIES.take([1, 0, 2, 3, 4, 5, 6])], None, "member 2 is of other images"),
        ([QUERIES, QUERIES], [1.0, -1.0], "2 weights above 0"),
    ):
        with pytest.raises(AslError, match=message):
            ensemble(members, weights)
