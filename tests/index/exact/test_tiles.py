"""Tiles of any width give the lists of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from asl.index.engines.numpy_exact import NumpyExact
from asl.index.exact.tiles import Tiles
from asl.scoring.score import Score
from asl.types import Embeddings


def some(count: int, prefix: str, seed: int) -> Embeddings:
    features = np.random.default_rng(seed).normal(size=(count, 6))
    return Embeddings.from_features([f"{prefix}{n}" for n in range(count)], features)


@pytest.mark.parametrize("mode", ["cosine", "soft"])
@pytest.mark.parametrize("width", [1, 7, 64, 1000])
def test_any_width_gives_the_same_lists(mode: str, width: int) -> None:
    queries, references = some(9, "q", 1).as_queries(), some(150, "r", 2).as_references()
    score = Score(mode, lam=0.4)  # type: ignore[arg-type]
    rows = np.array([8, 0, 3])
    best = Tiles(references, score, NumpyExact(), width).top(queries, rows, 5)
    scores = queries.vectors[rows] @ references.vectors.T
    if mode == "soft":
        scores = scores + 0.4 * (references.log_norms - queries.log_norms[rows][:, None])
    expected = np.argsort(-scores, axis=1)[:, :5]
    assert np.sort(best.rows, axis=1).tolist() == np.sort(expected, axis=1).tolist()
    np.testing.assert_allclose(
        np.sort(best.scores, axis=1), np.sort(scores, axis=1)[:, -5:], atol=1e-6
    )
    left_out = np.sort(scores, axis=1)[:, -6]
    assert (best.bound >= left_out - 1e-6).all()
