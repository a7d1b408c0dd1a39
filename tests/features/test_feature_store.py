"""The store itself: what it holds after changes, piece by piece, and who may write."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from asl.features.feature_store import FeatureStore
from asl.features.writer_lock import one_writer
from asl.index.saved_index import SavedIndex
from asl.types import AslError, Embeddings


def some(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 5)).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """Images a..f, of which b is replaced by a later shard, and g, which failed."""
    made = FeatureStore.create(tmp_path / "store", model="m", dim=5, preprocessing={})
    made.add(["a", "b", "c"], some(3), [("g", "broken")], stamps=["1", "2", "3", "4"])
    made.add(["b", "d", "e", "f"], some(4, 1), [], stamps=["5", "6", "7", "8"], replaces=True)
    return made


def test_a_forgotten_image_does_not_count_until_it_is_embedded_again(store: FeatureStore) -> None:
    store.forget(["b", "g"])
    again = FeatureStore.open(store.path)
    assert again.ids.tolist() == ["a", "c", "d", "e", "f"]
    assert again.failures == []
    assert len(again) == 5
    assert again.stamps() == {"a": "1", "c": "3", "d": "6", "e": "7", "f": "8"}
    assert np.array_equal(
        again.embeddings(["f"]).vectors, Embeddings.from_features(["f"], some(4, 1)[3:]).vectors
    )
    assert sum(len(piece) for piece in again.pieces()) == 5
    again.verify()
    again.add(["b"], some(1, 2), [], stamps=["9"])
    assert FeatureStore.open(store.path).ids.tolist() == ["a", "c", "d", "e", "f", "b"]
    with pytest.raises(AslError, match=r"1 id is not in this store, e\.g\. 'z'"):
        again.forget(["a", "z"])
    assert "a" in again.stamps(), "nothing is forgotten then"


def test_a_shard_that_was_cut_off_is_noticed_before_anything_is_embedded(
    store: FeatureStore,
) -> None:
    shard = store.path / "shard-00001.npy"
    os.truncate(shard, shard.stat().st_size - 4)
    with pytest.raises(AslError, match=r"shard-00001\.npy: damaged .* extract again"):
        FeatureStore.create(store.path, model="m", dim=5, preprocessing={})


def test_a_store_of_another_kind_is_refused_in_words(store: FeatureStore) -> None:
    np.save(store.path / "shard-00000.npy", np.zeros((3, 5), dtype=np.float16))
    with pytest.raises(
        AslError,
        match=r"shard-00000\.npy: damaged \(holds float16 \[3, 5\], expected float32 \[3, 5\]",
    ):
        store.features()
    (store.path / "manifest.json").write_text('{"format": "asl-features-1", "dim": 5}')
    with pytest.raises(AslError, match=r"damaged .*model is None, expected str"):
        FeatureStore.open(store.path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="limits of open files are those of Unix")
def test_a_store_of_more_shards_than_a_process_may_open(tmp_path: Path) -> None:
    import resource

    store = FeatureStore.create(tmp_path / "many", model="m", dim=5, preprocessing={})
    for number in range(120):
        store.add([f"{number}"], some(1, number), [])
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 60, before[1]))
    try:
        pieces = list(store.pieces())
        index = SavedIndex.create(tmp_path / "index", pieces)
        assert len(store.features()) == 120
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert len(index) == 120


def test_a_store_that_cannot_be_written_can_be_read(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def refuse(path: Path, mode: str = "r", *rest: object, **options: object) -> object:
        if mode[0] != "r":
            raise OSError(30, "Read-only file system")
        return opened(path, mode, *rest, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    with one_writer([store.path]):
        assert len(store) == 6
