"""Nearest codes: a slow loop as oracle; pieces and masked images do not matter."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from asl.matching.candidates import coded_neighbours as module
from asl.matching.candidates.coded_neighbours import nearest_codes, probes_for
from asl.matching.candidates.coded_piece import encode_piece
from asl.matching.candidates.feature_values import LocalFeatures, Neighbours
from asl.matching.candidates.quantiser import Quantiser, load_quantiser

Draw = Callable[..., LocalFeatures]


def rows(*counts: int) -> list[np.ndarray]:
    ends = np.cumsum(counts)
    return [np.arange(end - count, end) for count, end in zip(counts, ends, strict=True)]


def slow(
    images: list[LocalFeatures], quantiser: Quantiser, descriptors: np.ndarray, k: int, probes: int
) -> list[list[tuple[float, int]]]:
    """(estimated distance, image), nearest first, feature by feature and bit by bit."""
    codes = [quantiser.encode(image.descriptors) for image in images]
    result = []
    for query in quantiser.project(descriptors).astype(np.float64):
        near = np.argsort(((quantiser.centroids - query) ** 2).sum(axis=1), kind="stable")[:probes]
        compared = []
        for owner, (lists, bits, lengths, fits) in enumerate(codes):
            for number in range(len(lists)):
                if lists[number] in near:
                    residual = query - quantiser.centroids[lists[number]]
                    rotated = residual @ quantiser.rotation
                    signs = np.unpackbits(bits[number]) * 2.0 - 1
                    hamming = int(np.sum((signs > 0) != (rotated > 0)))
                    unit = quantiser.rotation @ signs / quantiser.gain**2
                    guess = unit * lengths[number] * quantiser.gain
                    guess /= np.sqrt(len(signs)) * fits[number] / 255
                    distance = residual @ residual + float(lengths[number]) ** 2
                    distance -= 2 * residual @ guess
                    compared.append((hamming, max(distance, 0.0), owner))
        cutoff = sorted(hamming for hamming, _, _ in compared)[:32][-1] if compared else 0
        kept = [(distance, owner) for hamming, distance, owner in compared if hamming <= cutoff]
        result.append(sorted(kept)[:k])
    return result


def test_neighbours_are_those_of_the_slow_loop(quantiser: Quantiser, draw: Draw) -> None:
    images = [draw(count) for count in (40, 25, 0, 60)]
    query = draw(12).descriptors
    found = nearest_codes(
        [encode_piece(images, quantiser)], rows(4), quantiser, query, k=5, probes=4
    )
    for number, expected in enumerate(slow(images, quantiser, query, 5, 4)):
        known = np.isfinite(found.distances[number])
        assert known.sum() == len(expected)
        np.testing.assert_allclose(
            found.distances[number][known], [distance for distance, _ in expected], rtol=1e-5
        )
        assert found.images[number][known].tolist() == [owner for _, owner in expected]


def test_threads_share_the_features(
    quantiser: Quantiser, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CODES_AT_ONCE", 50)
    piece = encode_piece([draw(count) for count in (40, 25, 60)], quantiser)
    query = draw(30).descriptors
    expected = nearest_codes([piece], rows(3), quantiser, query, k=5, probes=8)
    with ThreadPoolExecutor(3) as threads:
        found = nearest_codes([piece], rows(3), quantiser, query, k=5, probes=8, threads=threads)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_estimated_distances_are_near_to_the_true_ones(draw: Draw) -> None:
    packaged, image = load_quantiser(), draw(300, 128)
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 6, image.descriptors.shape)
    query = np.clip(image.descriptors + noise, 0, 255).astype(np.uint8)
    found = nearest_codes(
        [encode_piece([image], packaged)], rows(1), packaged, query, k=1, probes=32
    )
    true = ((packaged.project(query) - packaged.project(image.descriptors)) ** 2).sum(axis=1)
    random = ((packaged.project(query) - packaged.project(image.descriptors[::-1])) ** 2).sum(1)
    near = np.isfinite(found.distances[:, 0])
    assert near.mean() > 0.9
    error = np.abs(found.distances[near, 0] - true[near])
    assert np.median(error) < 0.15 * np.median(random)


@pytest.mark.parametrize("at_once", [1, 100, 2**17])
def test_pieces_and_blocks_do_not_matter(
    quantiser: Quantiser, draw: Draw, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [draw(count) for count in (40, 25, 0, 60, 33, 70)]
    images[4] = images[0]  # equal distances
    query = np.concatenate([draw(12).descriptors, images[0].descriptors[:5]])
    whole = nearest_codes(
        [encode_piece(images, quantiser)], rows(6), quantiser, query, k=6, probes=5
    )
    monkeypatch.setattr(module, "_CODES_AT_ONCE", at_once)
    parts = [
        encode_piece(images[part], quantiser) for part in (slice(0, 1), slice(1, 4), slice(4, 6))
    ]
    split = nearest_codes(parts, rows(1, 3, 2), quantiser, query, k=6, probes=5)
    for mine, other in zip(split, whole, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_masked_images_are_as_if_they_were_not_there(quantiser: Quantiser, draw: Draw) -> None:
    images = [draw(count) for count in (200, 25, 60)]
    query = draw(20).descriptors
    both = encode_piece(images, quantiser)
    masked = nearest_codes([both], [np.array([-1, 0, 1])], quantiser, query, k=6, probes=30)
    without = nearest_codes(
        [encode_piece(images[1:], quantiser)], rows(2), quantiser, query, k=6, probes=30
    )
    for mine, other in zip(masked, without, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_nothing_to_search_and_nothing_to_ask(quantiser: Quantiser, draw: Draw) -> None:
    empty, some = (encode_piece([draw(count)], quantiser) for count in (0, 9))
    query = draw(3).descriptors
    for pieces in ([], [empty], [empty, empty]):
        found = nearest_codes(pieces, rows(*[1] * len(pieces)), quantiser, query, k=2, probes=3)
        assert isinstance(found, Neighbours)
        assert found.distances.shape == (3, 2)
        assert np.isinf(found.distances).all()
    nobody = nearest_codes([some], rows(1), quantiser, query[:0], k=2, probes=3)
    assert nobody.distances.shape == (0, 2)


def test_large_indexes_search_fewer_lists() -> None:
    assert [probes_for(n, 65_536) for n in (0, 10**6, 10**8, 10**9)] == [32, 32, 5, 2]
