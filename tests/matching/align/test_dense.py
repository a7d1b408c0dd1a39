"""Dense alignment: crops, turns and frames of smooth pictures are found by their pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from asl.matching.align.dense import align_dense
from asl.matching.align.plane_geometry import apply, corners
from asl.matching.align.prepare import Prepared, prepare
from asl.matching.values import Alignment
from tests.matching.align.conftest import SETTINGS, at_working_size
from tests.matching.conftest import Image


def test_pixels_align_where_there_are_no_features() -> None:
    y, x = np.mgrid[0:160, 0:200].astype(np.float32)
    smooth = (
        128
        + 60 * np.sin(x / 31) * np.cos(y / 23)
        + 40 * np.exp(-((x - 60) ** 2 + (y - 90) ** 2) / 1500)
    )
    image = np.repeat(np.clip(smooth, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    crop = np.ascontiguousarray(image[20:140, 30:180])
    query, reference = prepare(crop, SETTINGS), prepare(image, SETTINGS)
    best = align_dense(query, reference)[0]
    expected = at_working_size(np.array([[1.0, 0, -30], [0, 1, -20], [0, 0, 1]]), crop, image)
    middle = np.array([[reference.shape[1] / 2, reference.shape[0] / 2]])
    assert np.linalg.norm(apply(best.matrix, middle) - apply(expected, middle)) < 4.0
    assert best.dense


def blurred(image: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 5), np.uint8)


def worst(found: Alignment, expected: np.ndarray, reference: Prepared) -> float:
    """Largest distance between two maps at the corners of the reference, in pixels."""
    outline = corners(reference.shape)
    return float(
        np.linalg.norm(apply(found.matrix, outline) - apply(expected, outline), axis=1).max()
    )


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("is_mirrored", [False, True], ids=["plain", "mirrored"])
def test_quarter_turns_of_a_blurred_picture_are_found(
    picture: Image, turns: int, is_mirrored: bool
) -> None:
    image = blurred(picture)
    edited = np.ascontiguousarray(np.rot90(image[:, ::-1] if is_mirrored else image, turns))
    height, width = image.shape[:2]
    matrix = np.eye(3)
    if is_mirrored:
        matrix = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])
    for _ in range(turns):  # counter-clockwise: (x, y) -> (y, width - 1 - x)
        matrix = np.array([[0.0, 1, 0], [-1, 0, width - 1], [0, 0, 1]]) @ matrix
        height, width = width, height
    query, reference = prepare(edited, SETTINGS), prepare(image, SETTINGS)
    (found,) = align_dense(query, reference)
    assert (found.mirrored, found.dense, found.inliers) == (is_mirrored, True, 0)
    assert worst(found, at_working_size(matrix, edited, image), reference) < 3


def test_a_reference_inside_the_query_is_found(picture: Image) -> None:
    image = blurred(picture)
    framed = cv2.copyMakeBorder(image, 30, 50, 60, 20, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    query, reference = prepare(np.asarray(framed, np.uint8), SETTINGS), prepare(image, SETTINGS)
    (found,) = align_dense(query, reference)
    matrix = np.array([[1.0, 0, 60], [0, 1, 30], [0, 0, 1]])
    assert worst(found, at_working_size(matrix, framed, image), reference) < 6


def test_plain_small_and_other_pictures_have_no_alignment(
    picture: Image, other_picture: Image
) -> None:
    image = prepare(blurred(picture), SETTINGS)
    plain = prepare(np.full((180, 240, 3), 99, np.uint8), SETTINGS)
    thin = prepare(np.ascontiguousarray(picture[:2]), SETTINGS)
    other = prepare(other_picture, SETTINGS)
    for second in (plain, thin, other):
        assert align_dense(image, second) == align_dense(second, image) == []
