"""Votes of local features: parts retrieve their whole; files; a slow loop as oracle."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from asl.matching.candidates.votes import LocalFeatures, LocalIndex
from asl.types import AslError


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


def slow_votes(
    images: list[LocalFeatures], query: LocalFeatures, neighbours: int = 6
) -> np.ndarray:
    """The definition, feature by feature."""
    every = [(owner, number) for owner, of in enumerate(images) for number in range(len(of))]
    unit = [d / np.linalg.norm(d) for of in images for d in of.descriptors.astype(np.float64)]
    bins: dict[tuple[int, float, float, int, int], float] = defaultdict(float)
    for place in range(len(query)):
        own = query.descriptors[place].astype(np.float64)
        distance = 2 - 2 * np.array(unit) @ (own / np.linalg.norm(own))
        near = np.argsort(distance, kind="stable")[:neighbours]
        voted = set()
        for row in near[:-1]:
            owner, number = every[row]
            weight = 1 - distance[row] / distance[near[-1]]
            if owner in voted or weight <= 0:
                continue
            voted.add(owner)
            turn = ((query.angles[place] - images[owner].angles[number]) % 360) / 360 * 8
            size = np.log2(query.scales[place] / images[owner].scales[number]) + 6
            for a, b in product((0.0, 0.5), repeat=2):
                bins[owner, a, b, int(turn + a) % 8, min(max(int(np.floor(size + b)), 0), 13)] += (
                    weight
                )
    best = np.zeros(len(images))
    for (owner, *_), value in bins.items():
        best[owner] = max(best[owner], value)
    return best


def test_votes_are_those_of_the_slow_loop(images: list[LocalFeatures]) -> None:
    query = part(images[4], slice(10, 30), turn=40, factor=2)
    rows, votes = LocalIndex.build(images).votes([query], 12)
    expected = slow_votes(images, query)
    assert rows[0] == 4
    np.testing.assert_allclose(
        votes, -np.sort(-expected)[: len(votes)], rtol=0.02, atol=0.05
    )  # one byte a component


def test_a_part_votes_for_its_whole_however_it_is_turned_and_scaled(
    images: list[LocalFeatures],
) -> None:
    index = LocalIndex.build(images)
    for turn, factor in ((0, 1.0), (200, 3.0), (355, 0.4)):
        rows, votes = index.votes([part(images[7], slice(0, 15), turn=turn, factor=factor)], 3)
        assert rows[0] == 7
        assert votes[0] > 2 * votes[1]


def test_features_that_disagree_on_turn_count_less(images: list[LocalFeatures]) -> None:
    index, whole = LocalIndex.build(images), images[2]
    straight = part(whole, slice(0, 40))
    rng = np.random.default_rng(1)
    scattered = LocalFeatures(
        straight.scales, rng.uniform(0, 360, 40).astype(np.float32), straight.descriptors
    )
    assert index.votes([straight], 1)[1][0] > 2 * index.votes([scattered], 1)[1][0]


def test_the_best_reading_counts_and_order_does_not_matter(images: list[LocalFeatures]) -> None:
    index, rng = LocalIndex.build(images), np.random.default_rng(5)
    stranger, own = image(rng), part(images[1], slice(0, 30))
    alone, both, turned = (
        index.votes(readings, 2) for readings in ([own], [stranger, own], [own, stranger])
    )
    assert alone[0][0] == both[0][0] == turned[0][0] == 1
    assert alone[1][0] == both[1][0] == turned[1][0]


def test_images_without_features_are_fine() -> None:
    rng = np.random.default_rng(0)
    nothing = image(rng, 0)
    for held in ([], [nothing], [nothing, nothing]):
        index = LocalIndex.build(held)
        assert len(index) == 0
        assert [len(column) for column in index.votes([image(rng)], 3)] == [0, 0]
    some = image(rng)
    index = LocalIndex.build([nothing, some])
    assert index.votes([some], 3)[0].tolist() == [1]
    assert len(index.votes([nothing], 3)[0]) == 0


def test_large_collections_get_an_inverted_file_that_finds_the_same() -> None:
    rng = np.random.default_rng(0)
    images = [image(rng, 500) for _ in range(50)]
    index = LocalIndex.build(images)
    assert index._index.nlist > 100
    assert [index.votes([part(images[n], slice(0, 60))], 1)[0][0] for n in (0, 20, 49)] == [
        0,
        20,
        49,
    ]


def test_it_is_kept_and_read_back_for_its_key_only(
    images: list[LocalFeatures], tmp_path: Path
) -> None:
    index, path, query = (
        LocalIndex.build(images),
        tmp_path / "new" / "local.npz",
        part(images[3], slice(0, 20)),
    )
    assert LocalIndex.open(path, key="a") is None
    index.save(path, key="a")
    assert [file.name for file in path.parent.iterdir()] == ["local.npz"]
    assert LocalIndex.open(path, key="b") is None
    again = LocalIndex.open(path, key="a")
    assert again is not None
    for mine, theirs in zip(index.votes([query], 5), again.votes([query], 5), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    path.write_bytes(path.read_bytes()[:-2000])
    assert LocalIndex.open(path, key="a") is None


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(AslError, match=r"descriptors \[K, 128\]"):
        LocalFeatures(np.ones(3, np.float32), np.ones(3, np.float32), np.ones((2, 128), np.uint8))
