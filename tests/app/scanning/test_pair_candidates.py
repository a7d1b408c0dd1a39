from __future__ import annotations

import numpy as np
import pytest

from asl.app.library.local_feature_store import VotedPairs
from asl.app.scanning.pair_candidates import Contents, cache_friendly_order, nearest_pairs
from asl.app.scanning.pair_prospects import PairProspects
from asl.types import I64, Bools


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


def test_the_pairs_of_one_query_follow_each_other() -> None:
    chance = np.random.default_rng(1)
    pairs = np.unique(np.sort(chance.integers(0, 60, (400, 2)), axis=1), axis=0)
    pairs = chance.permutation(pairs[pairs[:, 0] < pairs[:, 1]])
    first = pairs[cache_friendly_order(pairs[:, 0], pairs[:, 1])][:, 0]
    assert (np.diff(first) != 0).sum() == len(np.unique(first)) - 1


def test_known_pairs_are_taken_beside_the_budget_whatever_the_rule_says() -> None:
    given, rows = contents(0, 40), np.arange(40)
    every = nearest_pairs(given, rows, rows, k=3, budget=10**6)
    rule = PairProspects("m", 2.0, 5, 0.0, float(np.quantile(every.cosines, 0.5)), 2.0)
    without = nearest_pairs(given, rows, rows, k=3, budget=10, prospects=rule)

    def known(first: I64, second: I64) -> Bools:
        return np.asarray((first + second) % 3 == 0)

    found = nearest_pairs(given, rows, rows, k=3, budget=10, prospects=rule, known=known)
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert pairs[:10] == list(zip(without.first.tolist(), without.second.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    everywhere = zip(every.first.tolist(), every.second.tolist(), strict=True)
    assert {pair for pair in everywhere if sum(pair) % 3 == 0} <= set(pairs)
    assert all(sum(pair) % 3 == 0 for pair in pairs[10:])
    hopeless = every.cosines < rule.tested_cosine
    settled = known(every.first, every.second)
    assert found.recalled == (hopeless & settled).sum() > 0
    assert found.hopeless == (hopeless & ~settled).sum() == without.hopeless - found.recalled
