"""Overlays: both images at the same place, and a mask of what is common."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from asl.matching.align.plane_geometry import apply, inverse
from asl.matching.align.prepare import Prepared, prepare
from asl.matching.evidence.overlay import lay_over
from asl.matching.values import Alignment, Settings
from tests.matching.conftest import Image


@pytest.mark.parametrize("scale", [1.0, 2.0, 0.5])
def test_an_overlay_shows_both_at_the_same_place(picture: Image, scale: float) -> None:
    """A crop, enlarged or reduced: overlaid by the known map, only interpolation differs."""
    top, left, height, width = 30, 50, 100, 120
    crop = picture[top : top + height, left : left + width]
    size = (round(width * scale), round(height * scale))
    query = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    settings = Settings()
    sides = prepare(np.ascontiguousarray(query), settings), prepare(picture, settings)
    working = sides[0].shape[1] / size[0]  # what `prepare` did to the query's size
    reference = sides[1].shape[1] / picture.shape[1]
    shift = np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]])
    matrix = (
        np.diag([scale * working, scale * working, 1])
        @ shift
        @ np.diag([1 / reference, 1 / reference, 1])
    )
    found = lay_over(*sides, Alignment(matrix))
    assert found is not None
    assert found.mask.mean() > 0.9
    assert np.median(np.abs(found.query - found.reference)[found.mask]) < 4


def test_hardly_any_common_pixels_is_no_overlay(picture: Image) -> None:
    side = prepare(picture, Settings())
    away = np.array([[1.0, 0, side.shape[1] - 5], [0, 1, 0], [0, 0, 1]])
    assert lay_over(side, side, Alignment(away)) is None


def bare(image: Image) -> Prepared:
    """A prepared image without local features, at its own size."""
    none = np.zeros(0, np.float32)
    return Prepared(image, none.reshape(0, 2), none, none, np.zeros((0, 128), np.uint8))


def test_a_shift_by_whole_pixels_is_laid_over_exactly(picture: Image) -> None:
    side = bare(picture)
    shift = np.array([[1.0, 0, 40], [0, 1, 30], [0, 0, 1]])
    found = lay_over(side, side, Alignment(shift))
    assert found is not None
    assert np.array_equal(found.query, side.gray[30:, 40:])
    assert np.array_equal(found.reference, side.gray[:-30, :-40])
    assert np.array_equal(found.to_query, shift)
    expected = np.zeros((150, 200), bool)
    expected[2:-2, 2:-2] = True
    assert np.array_equal(found.mask, expected)


@pytest.mark.parametrize("scale", [0.8, 1.6])
def test_the_mask_of_a_known_homography_holds_the_pixels_of_both(
    picture: Image, scale: float
) -> None:
    turn = np.deg2rad(20)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    matrix = np.array([[cos, -sin, 70.0], [sin, cos, -15], [2e-4, 1e-4, 1]])
    side = bare(picture)
    found = lay_over(side, side, Alignment(matrix))
    assert found is not None
    height, width = found.mask.shape
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    on_query = apply(found.to_query, np.column_stack([x.ravel(), y.ravel()]).astype(float))
    on_reference = apply(inverse(matrix), on_query)
    last = np.array([239, 179])
    # Pixels by which a point lies inside both images (below 0: outside of one).
    depth = np.min([on_query, last - on_query, on_reference, last - on_reference], axis=(0, 2))
    depth = depth.reshape(height, width)
    assert found.mask[depth > 7].all()
    assert not found.mask[depth < -1].any()
    assert (depth > 7).mean() > 0.2


def test_the_grid_is_that_of_the_smaller_showing(picture: Image) -> None:
    side = bare(picture)
    small = bare(np.ascontiguousarray(picture[:90, :120]))
    reduced = lay_over(small, side, Alignment(np.diag([0.5, 0.5, 1.0])))
    enlarged = lay_over(side, small, Alignment(np.diag([2.0, 2.0, 1.0])))
    assert reduced is not None
    assert enlarged is not None
    assert np.array_equal(reduced.to_query, np.eye(3))
    assert np.array_equal(enlarged.to_query, np.diag([2.0, 2.0, 1.0]))
    assert np.array_equal(reduced.query, enlarged.reference), "one is the other swapped"
    assert np.abs(reduced.reference - enlarged.query).max() < 0.01
