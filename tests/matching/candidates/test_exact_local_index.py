"""Index of one byte a component: an inverted file for many features; its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.matching.candidates.exact_local_index import ExactLocalIndex
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.votes import rank_by_votes


def image(rng: np.random.Generator, count: int = 60) -> LocalFeatures:
    return LocalFeatures(
        rng.uniform(2, 30, count).astype(np.float32),
        rng.uniform(0, 360, count).astype(np.float32),
        rng.integers(0, 120, (count, 128)).astype(np.uint8),
    )


def part(
    whole: LocalFeatures, rows: slice, *, turn: float = 0.0, factor: float = 1.0
) -> LocalFeatures:
    return LocalFeatures(
        whole.scales[rows] * np.float32(factor),
        ((whole.angles[rows] + turn) % 360).astype(np.float32),
        whole.descriptors[rows],
    )


@pytest.fixture
def images() -> list[LocalFeatures]:
    rng = np.random.default_rng(0)
    return [image(rng) for _ in range(12)]


def test_large_collections_get_an_inverted_file_that_finds_the_same() -> None:
    rng = np.random.default_rng(0)
    images = [image(rng, 500) for _ in range(50)]
    index = ExactLocalIndex.build(images)
    assert index._index.nlist > 100
    assert [
        rank_by_votes(index, [part(images[n], slice(0, 60))], 1)[0][0] for n in (0, 20, 49)
    ] == [
        0,
        20,
        49,
    ]


def test_it_is_kept_and_read_back_for_its_key_only(
    images: list[LocalFeatures], tmp_path: Path
) -> None:
    index, path, query = (
        ExactLocalIndex.build(images),
        tmp_path / "new" / "local.npz",
        part(images[3], slice(0, 20)),
    )
    assert ExactLocalIndex.open(path, key="a") is None
    index.save(path, key="a")
    assert [file.name for file in path.parent.iterdir()] == ["local.npz"]
    assert ExactLocalIndex.open(path, key="b") is None
    again = ExactLocalIndex.open(path, key="a")
    assert again is not None
    for mine, theirs in zip(
        rank_by_votes(index, [query], 5), rank_by_votes(again, [query], 5), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    path.write_bytes(path.read_bytes()[:-2000])
    assert ExactLocalIndex.open(path, key="a") is None
