from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from asl.scoring.whitening import Whitening
from asl.types import AslError, Embeddings


def some(count: int, seed: int) -> Embeddings:
    rng = np.random.default_rng(seed)
    return Embeddings.from_features(
        [f"i{n}" for n in range(count)], rng.normal(size=(count, 6)) @ np.diag([9, 5, 3, 2, 1, 0.5])
    )


def test_equal_to_scikit_learn_up_to_signs() -> None:
    background, queries = some(300, 1).as_background(), some(20, 2).as_queries()
    ours = Whitening.fit(background, dim=4).apply(queries)
    theirs = PCA(4, whiten=True, svd_solver="full").fit(background.vectors.astype(np.float64))
    expected = theirs.transform(queries.vectors.astype(np.float64))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(np.abs(ours.vectors), np.abs(expected), atol=1e-4)
    assert np.array_equal(ours.log_norms, queries.log_norms), "whitening leaves the norms alone"
    assert type(ours) is type(queries), "and the role"


def test_pieces_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whitening, queries = Whitening.fit(some(300, 1).as_background(), dim=4), some(20, 2)
    whole = whitening.apply(queries).vectors
    monkeypatch.setattr("asl.scoring.whitening._BLOCK_ROWS", 7)
    np.testing.assert_allclose(whitening.apply(queries).vectors, whole, atol=1e-7)


def test_too_many_dimensions_are_refused() -> None:
    with pytest.raises(AslError, match=r"1\.\.4"):
        Whitening.fit(some(5, 0).as_background(), dim=5)


def test_blocks_give_the_covariance_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal to the covariance of all rows at once, which holds three float64 copies of them."""
    background = some(300, 1).as_background()
    monkeypatch.setattr("asl.scoring.whitening._BLOCK_ROWS", 7)
    ours = Whitening.fit(background, dim=4)
    vectors = background.vectors.astype(np.float64)
    mean = vectors.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov(vectors - mean, rowvar=False))
    order = np.argsort(-values)[:4]
    expected = axes[:, order].T * (values[order] ** -0.5)[:, None]
    signs = np.sign((expected * ours.projection).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(ours.mean, mean, atol=1e-10)
    np.testing.assert_allclose(ours.projection * signs, expected, rtol=1e-10, atol=1e-10)


def test_a_background_of_equal_vectors_is_refused() -> None:
    one = np.random.default_rng(0).normal(size=6)
    equal = Embeddings.from_features([f"i{n}" for n in range(20)], np.tile(one, (20, 1)))
    with pytest.raises(AslError, match=r"at most 0, the dimensions .* got 4"):
        Whitening.fit(equal.as_background(), dim=4)
