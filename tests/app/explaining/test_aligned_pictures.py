"""Both pictures on the grid of the copy."""

from __future__ import annotations

import numpy as np

from asl.app.explaining.aligned_pictures import OUTSIDE, Placement, align_pictures
from asl.app.explaining.explain_pair import Explanation
from tests.app.conftest import crop, textured


def test_the_original_is_moved_onto_its_crop(crop_case: Explanation) -> None:
    aligned = crop_case.aligned
    assert aligned is not None
    assert not aligned.is_first_copy
    assert aligned.copy.shape == aligned.original.shape == crop_case.second.picture.shape
    apart = np.abs(aligned.copy.astype(int) - aligned.original.astype(int))
    assert np.median(apart) < 6, "the same pixels lie over each other"
    assert np.median(aligned.difference) > 225


def test_what_the_original_does_not_show_is_grey() -> None:
    wide = textured(3, 600, 800)
    matrix = np.array([[1.0, 0, 80], [0, 1, 60], [0, 0, 1]])
    inside = np.ascontiguousarray(wide[120:480, 160:640])  # in the middle, at full size
    shapes = (300, 400), (180, 240)  # both at half size
    aligned = align_pictures(wide, inside, Placement(matrix, *shapes), is_first_copy=True)
    assert aligned.copy.shape == (480, 640, 3)
    assert (aligned.original[:90] == OUTSIDE).all()
    assert (aligned.difference[:90] == OUTSIDE).all()
    middle = (slice(110, 370), slice(140, 500))
    apart = np.abs(aligned.copy[middle].astype(int) - aligned.original[middle].astype(int))
    assert np.median(apart) < 4


def test_a_moved_alignment_is_seen_in_the_difference() -> None:
    picture = crop(textured(4))
    shape = (picture.shape[0], picture.shape[1])
    straight = Placement(np.eye(3), shape, shape)
    moved = Placement(np.array([[1.0, 0, 9], [0, 1, 0], [0, 0, 1]]), shape, shape)
    same, shifted = (
        align_pictures(picture, picture, placement, is_first_copy=True).difference.mean()
        for placement in (straight, moved)
    )
    assert same == 255
    assert shifted < 230
