"""Learned alignment: known maps of blurred and pixelised pictures, mirrored too; no strangers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from asl.matching.align.feature_alignment import Matches
from asl.matching.align.learned_alignment import (
    agreeing,
    align_learned,
    all_learned_matches,
    learned_matches,
    softened_matches,
)
from asl.matching.align.plane_geometry import apply
from asl.matching.align.prepare import Prepared, prepare
from asl.matching.evidence.examine import examine
from asl.matching.values import Alignment
from tests.matching.align.conftest import SETTINGS, at_working_size
from tests.matching.conftest import Image

MAPS = {
    "same": np.eye(3),
    "crop": np.array([[1.4, 0, -50], [0, 1.4, -30], [0, 0, 1]]),
    "turned": np.array([[0.98, -0.17, 20], [0.17, 0.98, -10], [0, 0, 1]]),
    "perspective": np.array([[0.9, 0.08, 10], [0.02, 0.95, 5], [4e-4, 2e-4, 1]]),
}


def pixelised(image: Image) -> Image:
    height, width = image.shape[:2]
    small = cv2.resize(image, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    return np.asarray(
        cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST), dtype=np.uint8
    )


def blurred(image: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 2.0), dtype=np.uint8)


def found_map(query: Prepared, reference: Prepared) -> list[Alignment]:
    readings = all_learned_matches(query, reference, SETTINGS)
    return align_learned(query, reference, readings, SETTINGS)


@pytest.mark.parametrize("is_mirrored", [False, True], ids=["plain", "mirrored"])
@pytest.mark.parametrize("spoil", [blurred, pixelised])
@pytest.mark.parametrize("name", MAPS)
def test_a_known_map_is_found_in_a_spoilt_picture(
    picture: Image, name: str, spoil: Callable[[Image], Image], is_mirrored: bool
) -> None:
    matrix: npt.NDArray[np.float64] = MAPS[name]
    edited = spoil(
        np.asarray(
            cv2.warpPerspective(picture, matrix, (240, 180), borderMode=cv2.BORDER_REFLECT),
            dtype=np.uint8,
        )
    )
    if is_mirrored:
        edited = np.ascontiguousarray(edited[:, ::-1])
        matrix = np.array([[-1.0, 0, 239], [0, 1, 0], [0, 0, 1]]) @ matrix
    query, reference = prepare(edited, SETTINGS), prepare(picture, SETTINGS)
    best = found_map(query, reference)[0]
    assert best.learned
    assert best.mirrored is is_mirrored
    height, width = reference.shape
    points = np.array([[x, y] for x in np.linspace(0, width, 9) for y in np.linspace(0, height, 9)])
    there = apply(at_working_size(matrix, edited, picture), points)
    seen = np.all((there >= 0) & (there <= np.array(query.shape[::-1]) - 1), axis=1)
    assert np.median(np.linalg.norm(apply(best.matrix, points)[seen] - there[seen], axis=1)) < 3


def test_other_pictures_do_not_align(picture: Image, other_picture: Image) -> None:
    query, reference = prepare(picture, SETTINGS), prepare(other_picture, SETTINGS)
    assert found_map(query, reference) == []


def test_matches_are_mutual_and_most_similar_first(picture: Image, other_picture: Image) -> None:
    query, reference = prepare(blurred(picture), SETTINGS), prepare(picture, SETTINGS)
    found = learned_matches(query, reference)
    similar = query.learned.descriptors @ reference.learned.descriptors.T
    rows = [int(np.flatnonzero((query.learned.points == at[:2]).all(1))[0]) for at in found.query]
    columns = [
        int(np.flatnonzero((reference.learned.points == at[:2]).all(1))[0])
        for at in found.reference
    ]
    assert len(set(rows)) == len(set(columns)) == len(rows) > 50
    cosines = similar[rows, columns]
    assert cosines.min() >= 0.82
    assert np.all(np.diff(cosines) <= 0)
    assert np.array_equal(cosines, similar[rows].max(axis=1))
    assert np.array_equal(cosines, similar[:, columns].max(axis=0))


def test_nothing_to_match_is_no_alignment(picture: Image) -> None:
    plain = prepare(np.full((12, 12, 3), 9, np.uint8), SETTINGS)
    query = prepare(picture, SETTINGS)
    assert len(learned_matches(plain, query)) == len(learned_matches(query, plain)) == 0
    assert found_map(plain, query) == []


def test_errors_are_measured_in_pixels_of_the_reference() -> None:
    double = np.diag([2.0, 2.0, 1.0])
    reference = np.array([[10, 10, 1, 0], [20, 5, 1, 0]], dtype=np.float32)
    query = np.array([[20, 20, 1, 0], [48, 10, 1, 0]], dtype=np.float32)
    agree, errors = agreeing(double, Matches(query, reference, False), (40, 40), 3.0)
    assert errors.tolist() == pytest.approx([0, 4])
    assert agree.tolist() == [True, False]


def test_the_evidence_counts_learned_features_whatever_found_the_alignment(picture: Image) -> None:
    reference = prepare(picture, SETTINGS)
    sharp = examine(reference, reference, SETTINGS).evidence
    assert sharp.learned_inliers > 4
    assert sharp.learned_support > 0.9
    spoilt = prepare(pixelised(picture), SETTINGS)
    bare = replace(
        spoilt,
        points=spoilt.points[:0],
        scales=spoilt.scales[:0],
        angles=spoilt.angles[:0],
        descriptors=spoilt.descriptors[:0],
    )
    found = examine(bare, reference, SETTINGS)
    assert found.alignments[0].learned
    assert found.evidence.learned == 1
    assert found.evidence.inliers == found.evidence.support == 0
    assert found.evidence.corr_coarse > 0.8


def printed(image: Image) -> Image:
    """Black dots on white, finer than the features: a newspaper's halftone."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    side = 3
    rows, columns = np.indices(gray.shape) % side
    order = np.array([[7, 3, 6], [4, 0, 2], [8, 1, 5]])
    dots = np.where(gray / 255.0 > (order[rows, columns] + 0.5) / 9, 255, 0).astype(np.uint8)
    return np.asarray(cv2.cvtColor(dots, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def test_a_halftone_is_aligned_by_its_blurred_reading(picture: Image, other_picture: Image) -> None:
    reference, stranger = prepare(picture, SETTINGS), prepare(other_picture, SETTINGS)
    large = cv2.resize(picture, (320, 240), interpolation=cv2.INTER_CUBIC)
    query = prepare(printed(np.asarray(large, np.uint8)), SETTINGS)
    softened = [softened_matches(query, reference)]
    found = align_learned(query, reference, softened, SETTINGS)
    assert len(found) == 1
    corners = np.array([[30.0, 20.0], [280.0, 30.0], [160.0, 200.0]])
    scale = reference.shape[1] / query.shape[1]
    assert np.abs(apply(found[0].matrix, corners * scale) - corners).max() < 8
    plain = found_map(query, reference)
    assert found[0].inliers > 2 * (plain[0].inliers if plain else 0)
    assert align_learned(query, stranger, [softened_matches(query, stranger)], SETTINGS) == []
    assert examine(query, reference, SETTINGS).evidence.aligned == 1.0
