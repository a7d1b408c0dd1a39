"""Votes of local features: parts retrieve their whole; files; a slow loop as oracle."""

from __future__ import annotations

from collections import defaultdict
from itertools import product

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
    rows, votes = rank_by_votes(ExactLocalIndex.build(images), [query], 12)
    expected = slow_votes(images, query)
    assert rows[0] == 4
    np.testing.assert_allclose(
        votes, -np.sort(-expected)[: len(votes)], rtol=0.02, atol=0.05
    )  # one byte a component


def test_a_part_votes_for_its_whole_however_it_is_turned_and_scaled(
    images: list[LocalFeatures],
) -> None:
    index = ExactLocalIndex.build(images)
    for turn, factor in ((0, 1.0), (200, 3.0), (355, 0.4)):
        rows, votes = rank_by_votes(
            index, [part(images[7], slice(0, 15), turn=turn, factor=factor)], 3
        )
        assert rows[0] == 7
        assert votes[0] > 2 * votes[1]


def test_features_that_disagree_on_turn_count_less(images: list[LocalFeatures]) -> None:
    index, whole = ExactLocalIndex.build(images), images[2]
    straight = part(whole, slice(0, 40))
    rng = np.random.default_rng(1)
    scattered = LocalFeatures(
        straight.scales, rng.uniform(0, 360, 40).astype(np.float32), straight.descriptors
    )
    assert (
        rank_by_votes(index, [straight], 1)[1][0] > 2 * rank_by_votes(index, [scattered], 1)[1][0]
    )


def test_the_best_reading_counts_and_order_does_not_matter(images: list[LocalFeatures]) -> None:
    index, rng = ExactLocalIndex.build(images), np.random.default_rng(5)
    stranger, own = image(rng), part(images[1], slice(0, 30))
    alone, both, turned = (
        rank_by_votes(index, readings, 2) for readings in ([own], [stranger, own], [own, stranger])
    )
    assert alone[0][0] == both[0][0] == turned[0][0] == 1
    assert alone[1][0] == both[1][0] == turned[1][0]


def test_images_without_features_are_fine() -> None:
    rng = np.random.default_rng(0)
    nothing = image(rng, 0)
    for held in ([], [nothing], [nothing, nothing]):
        index = ExactLocalIndex.build(held)
        assert len(index) == 0
        assert [len(column) for column in rank_by_votes(index, [image(rng)], 3)] == [0, 0]
    some = image(rng)
    index = ExactLocalIndex.build([nothing, some])
    assert rank_by_votes(index, [some], 3)[0].tolist() == [1]
    assert len(rank_by_votes(index, [nothing], 3)[0]) == 0
