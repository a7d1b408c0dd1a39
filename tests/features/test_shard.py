"""A store read one shard at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.features.feature_store import FeatureStore


def some(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 5)).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """Images a..f, of which b is replaced by a later shard, and g, which failed."""
    made = FeatureStore.create(tmp_path / "store", model="m", dim=5, preprocessing={})
    made.add(["a", "b", "c"], some(3), [("g", "broken")], stamps=["1", "2", "3", "4"])
    made.add(["b", "d", "e", "f"], some(4, 1), [], stamps=["5", "6", "7", "8"], replaces=True)
    return made


def test_pieces_are_the_store_a_shard_at_a_time(store: FeatureStore) -> None:
    whole = store.embeddings()
    pieces = [piece.embeddings() for piece in FeatureStore.open(store.path).pieces()]
    assert [piece.ids.tolist() for piece in pieces] == [["a", "c"], ["b", "d", "e", "f"]]
    assert np.array_equal(np.concatenate([piece.vectors for piece in pieces]), whole.vectors)
    assert np.array_equal(np.concatenate([piece.log_norms for piece in pieces]), whole.log_norms)
    last = list(store.pieces())[1]
    assert np.array_equal(last.units(np.array([3, 0])), whole.vectors[[5, 2]]), "rows in any order"
