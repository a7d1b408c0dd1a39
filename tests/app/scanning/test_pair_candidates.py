from __future__ import annotations

import numpy as np
import pytest

from asl.app.library.local_feature_store import VotedPairs
from asl.app.library.vectors import VectorCollection
from asl.app.scanning.pair_candidates import Contents, cache_friendly_order, nearest_pairs
from asl.types import AslError


def contents(seed: int, count: int, dim: int = 8) -> Contents:
    features = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return Contents.from_features([f"c{row:03}" for row in range(count)], features)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40])
def test_the_k_nearest_of_every_content_each_pair_once(count: int) -> None:
    found = contents(1, count)
    rows = np.arange(count)
    got = nearest_pairs(found, rows, rows, k=3, budget=10**6)
    cosines = found.vectors @ found.vectors.T
    np.fill_diagonal(cosines, -np.inf)
    expected = {
        frozenset((row, int(other)))
        for row in range(count)
        for other in np.argsort(-cosines[row])[: min(3, count - 1)]
    }
    pairs = [frozenset(pair) for pair in zip(got.first.tolist(), got.second.tolist(), strict=True)]
    assert len(pairs) == len(set(pairs)) == got.found
    assert set(pairs) == expected
    assert np.allclose(got.cosines, [cosines[tuple(pair)] for pair in pairs], atol=1e-5)


def test_against_a_library_pairs_go_across_only() -> None:
    found = contents(2, 30)
    got = nearest_pairs(found, np.arange(10), np.arange(10, 30), k=4, budget=10**6)
    assert set(got.first) <= set(range(10))
    assert set(got.second) <= set(range(10, 30))
    assert len(got.first) == 40
    empty = nearest_pairs(found, np.arange(10), np.arange(0), k=4, budget=5)
    assert len(empty.first) == empty.found == 0


@pytest.mark.parametrize("within", [True, False])
def test_with_parts_a_pair_counts_by_its_best_part(within: bool) -> None:
    rng = np.random.default_rng(4)
    features = rng.normal(size=(30, 6)).astype(np.float32)
    parts = rng.normal(size=(3, 30, 6)).astype(np.float32)
    found = Contents.from_features([str(row) for row in range(30)], features, parts)
    left = np.arange(30) if within else np.arange(12)
    right = left if within else np.arange(12, 30)
    got = nearest_pairs(found, left, right, k=29, budget=10**6)
    whole = found.vectors @ found.vectors.T
    one_way = np.max([found.vectors @ part.T for part in found.regions], axis=0)
    best = np.maximum(whole, np.maximum(one_way, one_way.T))
    expected = {frozenset((a, b)): best[a, b] for a in left for b in right if a != b}
    pairs = [frozenset(pair) for pair in zip(got.first.tolist(), got.second.tolist(), strict=True)]
    assert len(pairs) == len(set(pairs)) == len(expected) == got.found
    assert np.allclose(got.cosines, [expected[pair] for pair in pairs], atol=1e-5)


def test_a_series_of_look_alikes_does_not_use_up_the_budget() -> None:
    """A hundred frames of one scene, all alike, and one pair that is less alike but alone."""
    rng = np.random.default_rng(3)
    scene, lonely = rng.normal(size=16), rng.normal(size=16)
    frames = scene + 0.05 * rng.normal(size=(100, 16))
    others = rng.normal(size=(40, 16))
    pair = np.stack([lonely, lonely + 0.45 * rng.normal(size=16)])
    features = np.concatenate([frames, others, pair]).astype(np.float32)
    found = Contents.from_features([str(row) for row in range(len(features))], features)
    rows = np.arange(len(features))
    got = nearest_pairs(found, rows, rows, k=10, budget=60)
    assert (140, 141) in {
        tuple(sorted(pair)) for pair in zip(got.first.tolist(), got.second.tolist(), strict=True)
    }
    cosines = found.vectors[got.first] * found.vectors[got.second]
    assert cosines.sum(axis=1).max() > 0.99, "the most alike pairs are looked at, too"


def test_votes_get_half_of_the_budget_and_count_for_the_pair() -> None:
    given = contents(0, 40)
    rows = np.arange(40)
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 20, 12), rng.integers(20, 40, 12)
    voted = VotedPairs(first, second, rng.uniform(1, 50, 12).astype(np.float32))
    found = nearest_pairs(given, rows, rows, k=3, budget=10, voted=voted)
    pairs = {
        frozenset(pair) for pair in zip(found.first.tolist(), found.second.tolist(), strict=True)
    }
    assert len(pairs) == 10
    most = np.argsort(-voted.votes)[:4]
    assert {frozenset((int(first[row]), int(second[row]))) for row in most} <= pairs
    cosines = np.einsum("pd,pd->p", given.vectors[found.first], given.vectors[found.second])
    np.testing.assert_allclose(found.cosines, cosines, atol=1e-6)
    without = nearest_pairs(given, rows, rows, k=3, budget=10)
    nobody = nearest_pairs(given, rows, rows, k=3, budget=10, voted=VotedPairs.empty())
    np.testing.assert_array_equal(without.first, nobody.first)
    every = nearest_pairs(given, rows, rows, k=3, budget=10**6, voted=voted)
    keys = np.minimum(every.first, every.second) * 40 + np.maximum(every.first, every.second)
    assert len(np.unique(keys)) == len(keys) == every.found


def test_neighbouring_pairs_share_images() -> None:
    # Ten cliques of ten; a shuffled list has pairs of all of them mixed.
    pairs = np.array(
        [(10 * c + a, 10 * c + b) for c in range(10) for a in range(10) for b in range(a)]
    )
    pairs = pairs[np.random.default_rng(0).permutation(len(pairs))]
    order = cache_friendly_order(pairs[:, 0], pairs[:, 1])
    assert sorted(order.tolist()) == list(range(len(pairs)))
    cliques = pairs[order][:, 0] // 10
    assert (np.diff(cliques) != 0).sum() == 9
    assert len(cache_friendly_order(np.empty(0, np.int64), np.empty(0, np.int64))) == 0


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = rng.normal(size=shape)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("parts", [0, 3])
@pytest.mark.parametrize("looks", [1, 4])
def test_a_collection_answers_like_brute_force_while_it_changes(parts: int, looks: int) -> None:
    rng = np.random.default_rng(4)
    collection = VectorCollection(8, regions=parts, engine="exact")
    alive: dict[str, np.ndarray] = {}  # [1 + parts, D]: the whole, then its parts
    for step in range(60):
        keys = [f"k{number}" for number in rng.integers(0, 900, 40)]
        keys = list(dict.fromkeys(keys))
        if step % 3 == 2:
            gone = [key for key in keys if key in alive]
            assert collection.remove(keys) == len(gone)
            for key in gone:
                del alive[key]
        else:
            features = unit(rng, len(keys), 1 + parts, 8)
            lengths = rng.uniform(0.5, 2, (len(keys), 1 + parts, 1)).astype(np.float32)
            collection.add(
                keys, (features * lengths)[:, 0], (features * lengths)[:, 1:] if parts else None
            )
            alive.update(zip(keys, features, strict=True))
        assert len(collection) == len(alive)
        query = unit(rng, looks, 8)
        view, rows = collection.nearest(query, 5)
        best = {
            key: max(float((query @ of[0]).max()), float((of @ query[0]).max()))
            for key, of in alive.items()
        }
        assert [view.keys[row] for row in rows] == sorted(best, key=lambda key: -best[key])[:5]


def test_a_crowd_of_parts_of_one_image_hides_no_other() -> None:
    """Every part of one image is nearer than anything of the others."""
    collection = VectorCollection(4, regions=30)
    crowd = np.tile(np.float32([1, 0.01, 0, 0]), (1, 30, 1))
    collection.add(["crowd"], crowd[:, 0], crowd)
    others = np.tile(np.float32([0.5, 0, 1, 0]), (5, 31, 1))
    collection.add([f"o{number}" for number in range(5)], others[:, 0], others[:, 1:])
    view, rows = collection.nearest(np.float32([[1, 0, 0, 0]]), 3)
    assert [view.keys[row] for row in rows] == ["crowd", "o0", "o1"]
    assert len(collection.nearest(np.float32([[1, 0, 0, 0]]), 100)[1]) == 6


def test_parts_must_fit_and_one_without_a_direction_is_nobody_s_neighbour() -> None:
    collection = VectorCollection(4, regions=2)
    with pytest.raises(AslError, match=r"expected \[1, 2, 4\]"):
        collection.add(["a"], np.ones((1, 4), np.float32))
    collection.add(
        ["a"], np.ones((1, 4), np.float32), np.float32([[[0, 0, 0, 0], [np.nan, 1, 1, 1]]])
    )
    assert not collection.view().regions.any()
    assert len(collection) == 1


def test_a_view_stays_as_it_was() -> None:
    collection = VectorCollection(4)
    collection.add(["a", "b"], np.eye(4, dtype=np.float32)[:2])
    view = collection.view()
    collection.remove(["a"])
    collection.add([f"n{number}" for number in range(1000)], np.ones((1000, 4), np.float32))
    collection.remove([f"n{number}" for number in range(900)])
    assert len(view) == 2
    assert view.keys[:2] == ["a", "b"]
    assert np.array_equal(view.vectors, np.eye(4, dtype=np.float32)[:2])
