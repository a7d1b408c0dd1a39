import numpy as np
import pytest

from asl.scoring.negative_subtraction import average_neighbours, subtract_negatives
from asl.scoring.postprocess import PostProcess
from asl.types import AslError, Embeddings


def some(count: int, prefix: str, seed: int, dim: int = 6) -> Embeddings:
    features = np.random.default_rng(seed).normal(size=(count, dim))
    return Embeddings.from_features([f"{prefix}{n}" for n in range(count)], features)


QUERIES, BACKGROUND = some(7, "q", 1).as_queries(), some(40, "b", 2).as_background()


def test_steps_are_fitted_once_and_applied_in_order() -> None:
    steps = PostProcess.fit(BACKGROUND, whiten=4, negatives=0.35)
    assert steps.whitening is not None
    assert steps.background is not None
    assert steps.background.dim == 4
    whitened = steps.whitening.apply(QUERIES)
    near = average_neighbours(steps.whitening.apply(BACKGROUND))
    assert np.allclose(
        steps.apply(QUERIES).vectors, subtract_negatives(whitened, near).vectors, atol=1e-6
    )
    plain = PostProcess.fit(None)
    assert plain.apply(QUERIES) is QUERIES


def test_what_cannot_be_fitted_is_said() -> None:
    with pytest.raises(AslError, match="fitted on training images"):
        PostProcess.fit(None, negatives=0.35)
