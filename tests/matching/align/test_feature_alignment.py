"""Alignment: known maps are found again, in every reading; what cannot be aligned is not."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

import asl.matching.align.feature_alignment as align_module
from asl.matching.align.feature_alignment import Matches, align, all_matches
from asl.matching.align.plane_geometry import apply
from asl.matching.align.prepare import Prepared, prepare
from asl.matching.values import Alignment
from tests.matching.align.conftest import SETTINGS, TURN, at_working_size
from tests.matching.conftest import Image

MAPS = {
    "same": (np.eye(3), (180, 240)),
    "crop": (np.array([[1.8, 0, -90], [0, 1.8, -60], [0, 0, 1]]), (180, 240)),
    "smaller": (np.array([[0.5, 0, 60], [0, 0.5, 40], [0, 0, 1]]), (180, 240)),
    "quarter turn": (TURN, (240, 180)),
    "turned": (np.array([[0.94, -0.34, 30], [0.34, 0.94, -20], [0, 0, 1]]), (200, 260)),
    "aspect": (np.array([[1.4, 0, 0], [0, 0.9, 0], [0, 0, 1]]), (162, 336)),
    "perspective": (np.array([[0.9, 0.08, 10], [0.02, 0.95, 5], [4e-4, 2e-4, 1]]), (180, 240)),
}


def warp(image: Image, matrix: npt.NDArray[np.float64], shape: tuple[int, int]) -> Image:
    drawn = cv2.warpPerspective(
        image, matrix, shape[::-1], flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(drawn, dtype=np.uint8)


def found_map(query: Prepared, reference: Prepared) -> list[Alignment]:
    return align(query, reference, all_matches(query, reference, SETTINGS), SETTINGS)


@pytest.mark.parametrize("is_mirrored", [False, True], ids=["plain", "mirrored"])
@pytest.mark.parametrize("name", MAPS)
def test_a_known_map_is_found_within_two_pixels(
    picture: Image, name: str, is_mirrored: bool
) -> None:
    matrix, shape = MAPS[name]
    edited = warp(picture, matrix, shape)
    if is_mirrored:
        edited = np.ascontiguousarray(edited[:, ::-1])
        matrix = np.array([[-1.0, 0, shape[1] - 1], [0, 1, 0], [0, 0, 1]]) @ matrix
    query, reference = prepare(edited, SETTINGS), prepare(picture, SETTINGS)
    best = found_map(query, reference)[0]
    expected = at_working_size(matrix, edited, picture)
    assert best.mirrored is is_mirrored
    # Where the reference is seen: only there does anything say where it lies.
    height, width = reference.shape
    points = np.array(
        [[x, y] for x in np.linspace(0, width - 1, 9) for y in np.linspace(0, height - 1, 9)]
    )
    there = apply(expected, points)
    seen = np.all((there >= 0) & (there <= np.array(query.shape[::-1]) - 1), axis=1)
    assert seen.sum() >= 10
    assert np.linalg.norm(apply(best.matrix, points[seen]) - there[seen], axis=1).max() < 2.0


def test_two_regions_of_one_pair_are_both_found(picture: Image, other_picture: Image) -> None:
    reference = np.hstack([picture, other_picture])
    collage = np.vstack([other_picture, picture])
    found = found_map(prepare(collage, SETTINGS), prepare(reference, SETTINGS))
    assert len(found) >= 2
    assert not np.allclose(found[0].matrix, found[1].matrix, atol=5)


def test_other_pictures_do_not_align(picture: Image, other_picture: Image) -> None:
    query, reference = prepare(picture, SETTINGS), prepare(other_picture, SETTINGS)
    assert all(item.inliers < 10 for item in found_map(query, reference))


def nothing_drawn() -> Prepared:
    """An image of which only the size matters: its matches are made by hand."""
    return prepare(np.zeros((240, 320, 3), np.uint8), SETTINGS)


def groups(*sizes: int, is_mirrored: bool = False, seed: int = 0) -> Matches:
    """Matches in groups; each group has been moved elsewhere as a whole, by itself."""
    rng = np.random.default_rng(seed)
    query, reference = [], []
    for place, size in enumerate(sizes):
        points = rng.uniform([0, 0], [300, 220], (size, 2))
        moved = points + np.array([70.0 * place - 180, 60.0 * (-1) ** place + 9 * place])
        query.append(np.column_stack([moved, np.full(size, 8.0), np.zeros(size)]))
        reference.append(np.column_stack([points, np.full(size, 8.0), np.zeros(size)]))
    return Matches(
        np.float32(np.concatenate(query)), np.float32(np.concatenate(reference)), is_mirrored
    )


def aligned(*readings: Matches) -> list[tuple[bool, int]]:
    image = nothing_drawn()
    return [(item.mirrored, item.inliers) for item in align(image, image, list(readings), SETTINGS)]


def test_chance_alignments_of_the_plain_reading_do_not_starve_the_mirrored_one() -> None:
    mirrored = groups(200, is_mirrored=True, seed=1)
    alone = aligned(mirrored)
    assert alone[0] == (True, 200)
    assert aligned(groups(*[6] * 6), mirrored)[0] == alone[0]


def test_a_reading_is_searched_for_twice_as_many_regions_as_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    fit = align_module._best_alignment

    def counted(*args: object) -> object:
        calls.append(args)
        return fit(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(align_module, "_best_alignment", counted)
    assert len(aligned(groups(*[14] * 9))) == SETTINGS.regions
    assert len(calls) == 2 * SETTINGS.regions


def test_a_second_region_needs_twice_the_support_of_the_first() -> None:
    assert aligned(groups(30, 12)) == [(False, 30), (False, 12)]
    assert aligned(groups(30, 8)) == [(False, 30)], "eight may agree by chance beside thirty"
    assert aligned(groups(8)) == [(False, 8)], "alone they count"
