"""Detail is measured as a whole and by place, so that letters beside a picture do not count."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from asl.app.library.lost_detail import SHRINKS, lost_inside, measure_lost_detail
from asl.data.images import Pixels
from tests.app.conftest import textured

HALF = SHRINKS.index(2.0)


def box(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def beside_letters(picture: Pixels, width: int, height: int) -> Pixels:
    """The picture in the left half of a page whose right half is full of sharp strokes."""
    page = np.full((height, width, 3), 250, np.uint8)
    page[:, width // 2 :: 4] = 20
    page[:, : width // 2] = cv2.resize(picture, (width // 2, height))
    return page


@pytest.mark.parametrize(("width", "height"), [(240, 180), (2400, 1800), (4000, 400)])
def test_each_part_has_its_own_detail(width: int, height: int) -> None:
    blurred = cv2.GaussianBlur(textured(1), (0, 0), 4)
    whole, by_place = measure_lost_detail(beside_letters(blurred, width, height))
    size = height, width
    left, right, all_of_it = (
        lost_inside(by_place, outline, size)
        for outline in (box(0, 0, 0.5, 1), box(0.5, 0, 1, 1), box(0, 0, 1, 1))
    )
    assert left is not None
    assert right is not None
    assert left[HALF] < 0.1 * whole[HALF] < whole[HALF] < right[HALF]
    assert all_of_it == pytest.approx(whole, rel=0.1)


def test_what_was_not_measured_is_unknown() -> None:
    _, by_place = measure_lost_detail(textured(1, 60, 80))
    assert lost_inside(by_place, box(0.4, 0.4, 0.45, 0.45), (60, 80)) is None, "no place in it"
    assert lost_inside(by_place, [], (60, 80)) is None
    assert lost_inside("", box(0, 0, 1, 1), (60, 80)) is None
    for height, width in ((1, 1), (3000, 1), (11, 400)):
        whole, nowhere = measure_lost_detail(textured(1, height, width))
        assert (len(whole), nowhere) == (len(SHRINKS), "")


def test_blank_and_noisy_pictures_are_within_the_scale() -> None:
    everywhere = box(0, 0, 1, 1)
    _, blank = measure_lost_detail(np.zeros((40, 40, 3), np.uint8))
    assert lost_inside(blank, everywhere, (40, 40)) == (0.0,) * len(SHRINKS)
    board = (np.indices((40, 40)).sum(axis=0) % 2 * 255).astype(np.uint8)
    whole, by_place = measure_lost_detail(np.repeat(board[..., None], 3, axis=2))
    assert lost_inside(by_place, everywhere, (40, 40)) == pytest.approx(whole, rel=0.05)
