"""Overlapping outlines: areas hold for any map, above all for maps that hardly move anything."""

from __future__ import annotations

import numpy as np
import pytest

from asl.matching.align.plane_geometry import (
    apply,
    clipped_outline,
    corners,
    distortion,
    intersection_area,
    inverse,
    is_sane,
    jacobian,
    polygon_area,
)
from tests.matching.align.conftest import TURN

SHAPE = (240, 320)
WHOLE = 239.0 * 319.0


def shaken(rng: np.random.Generator, pixels: float) -> np.ndarray:
    """A map that moves every corner of an image of SHAPE by about that many pixels."""
    matrix = np.eye(3)
    matrix[:2, 2] += rng.normal(0, pixels, 2)
    matrix[:2, :2] += rng.normal(0, pixels / 320, (2, 2))
    matrix[2, :2] += rng.normal(0, pixels / 320**2, 2)
    return matrix


@pytest.mark.parametrize("pixels", [0.0, 1e-9, 1e-6, 1e-4, 1e-2, 0.1, 1.0])
def test_a_map_that_hardly_moves_anything_keeps_all_of_the_outline(pixels: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(1000):
        outline = clipped_outline(shaken(rng, pixels), SHAPE, SHAPE)
        # No side moves by more than some ten times that, and each pixel of a side costs less than 1
        # / 239.
        assert polygon_area(outline) == pytest.approx(WHOLE, rel=1e-9 + 0.08 * pixels)
        assert (outline >= 0).all()
        assert (outline <= [319, 239]).all()


def random_map(rng: np.random.Generator) -> np.ndarray:
    turn, scale = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(-1.2, 1.2))
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centred = np.array([[1, 0, -160], [0, 1, -120], [0, 0, 1.0]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear @ (np.eye(2) + rng.normal(0, 0.15, (2, 2)))
    matrix[2, :2] = rng.normal(0, 1.5e-3, 2)
    back = np.array([[1, 0, 160 + rng.normal(0, 90)], [0, 1, 120 + rng.normal(0, 70)], [0, 0, 1.0]])
    return back @ matrix @ centred


def counted(matrix: np.ndarray, source: tuple[int, int], target: tuple[int, int]) -> float:
    """Count points of the target whose preimage is inside the source: the covered area."""
    y, x = np.mgrid[0.25 : target[0] - 1 : 0.5, 0.25 : target[1] - 1 : 0.5]
    points = np.column_stack([x.ravel(), y.ravel(), np.ones(x.size)]) @ inverse(matrix).T
    place = points[:, :2] / points[:, 2:]
    inside = (points[:, 2] > 0) & np.all(
        (place >= 0) & (place <= np.array(source[::-1]) - 1), axis=1
    )
    return 0.25 * float(inside.sum())


def test_the_outline_of_any_map_holds_the_pixels_that_it_covers_forwards_and_backwards() -> None:
    """The horizon of many of the maps backwards runs through the image that they are laid over."""
    rng, seen, horizons = np.random.default_rng(1), 0, 0
    source, target = SHAPE, (200, 260)
    while seen < 80:
        matrix = random_map(rng)
        if not is_sane(matrix, source):
            continue
        back = inverse(matrix)
        depth = np.column_stack([corners(target), np.ones(4)]) @ back[2]
        horizons += depth.min() < 0
        for there, one, other in ((matrix, source, target), (back, target, source)):
            area = polygon_area(clipped_outline(there, one, other))
            assert area == pytest.approx(counted(there, one, other), rel=0.01, abs=60)
        seen += 1
    assert horizons >= 3


def test_what_lies_beside_the_image_or_is_less_than_a_pixel_has_no_outline() -> None:
    beside = np.array([[1.0, 0, 400], [0, 1, 0], [0, 0, 1]])
    for matrix in (beside, np.diag([1e-3, 1e-3, 1.0]), np.diag([1.0, 0.0, 1.0])):
        assert clipped_outline(matrix, SHAPE, SHAPE).shape == (0, 2)


def test_areas_of_outlines_drawn_either_way_round() -> None:
    square, shifted = corners((11, 11)), corners((11, 11)) + np.array([4.0, -3.0])
    for one in (square, square[::-1]):
        assert polygon_area(one) == 100
        for other in (shifted, shifted[::-1]):
            assert intersection_area(one, other) == pytest.approx(6 * 7)
    assert polygon_area(square[:2]) == 0
    assert intersection_area(square, square[[0, 1, 1]]) == 0
    assert intersection_area(square, square + 20) == 0


def test_folding_and_absurd_maps_are_refused() -> None:
    shape = (100, 100)
    assert is_sane(np.eye(3), shape)
    for bad in (
        np.diag([-1.0, 1, 1]),
        np.diag([50.0, 50, 1]),
        np.diag([10.0, 1, 1]),
        np.array([[1.0, 0, 0], [0, 1, 0], [-0.02, 0, 1]]),
        np.full((3, 3), np.nan),
        np.zeros((3, 3)),
    ):
        assert not is_sane(bad, shape)
    assert distortion(TURN * np.array([[2.0], [2], [1]]), shape) == pytest.approx(0, abs=1e-6)
    assert apply(np.eye(3), corners(shape)).tolist() == corners(shape).tolist()


def sane_by_decompositions(matrix: np.ndarray) -> bool:
    """Check every point by its own decomposition: turned, at most 24 times as large, not thin."""
    outline = corners(SHAPE)
    depth = outline @ matrix[2, :2] + matrix[2, 2]
    if depth.min() <= 1e-6 or depth.max() > 6 * depth.min():
        return False
    for point in [*outline, outline.mean(axis=0)]:
        local = jacobian(matrix, point)
        large, small = np.linalg.svd(local, compute_uv=False)
        if np.linalg.det(local) <= 0 or large > 24 or small < 1 / 24 or large > 6 * small:
            return False
    return True


def test_a_map_is_sane_where_decompositions_at_its_corners_say_so() -> None:
    rng, answers = np.random.default_rng(2), []
    for number in range(600):
        matrix = random_map(rng)
        matrix[2, :2] /= 6
        matrix[:2] *= np.exp(rng.normal(0, 1.5, (2, 1)))
        matrix[:, 0] *= -1 if number % 10 == 0 else 1
        answers.append(is_sane(matrix, SHAPE))
        assert answers[-1] == sane_by_decompositions(matrix)
    assert 100 < sum(answers) < 400
