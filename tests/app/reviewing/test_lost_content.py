"""What follows from the file that stays, and what would be lost; on drawn pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from asl.app.reviewing.lost_content import (
    DIFFERS,
    NOT_ALIGNED,
    OWN_DETAIL,
    SHOWS_MORE,
    lost_content,
)
from asl.data.images import decode_image, encode_image
from asl.data.scenes import render_scene
from asl.types import U8

WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
MIRRORED = ((1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (1.0, 1.0))
SEEDS = (3, 7)


def saved(image: U8, quality: int = 85) -> U8:
    return decode_image(encode_image(np.ascontiguousarray(image), quality))


def photo(seed: int) -> U8:
    return saved(render_scene(seed, height=300, width=400), 95)


def shifted(image: U8, x: float, y: float, *, grain: float, seed: int) -> U8:
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float32)
    moved = cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    noise = np.random.default_rng(seed).normal(0, grain, moved.shape)
    return np.asarray(np.clip(moved + noise, 0, 255), np.uint8)


def screen(line: str) -> U8:
    """A page of a program; one of its lines is to be chosen."""
    image = np.full((600, 900, 3), 244, np.uint8)
    cv2.rectangle(image, (0, 0), (900, 60), (40, 70, 120), -1)
    for row in range(8):
        text = line if row == 4 else f"entry {row}: nothing new"
        at = (40, 120 + 55 * row)
        cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.7, (30, 30, 30), 1, cv2.LINE_AA)
    return image


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_with_what_was_made_by_size_tones_and_compression(seed: int) -> None:
    original = photo(seed)
    small = cv2.resize(original, (220, 165), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(cv2.cvtColor(original, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    brighter = np.clip(original * 1.08 + 4, 0, 255).astype(np.uint8)
    for name, copy in {
        "saved again": saved(original, 93),
        "smaller": saved(small),
        "grey": saved(grey, 93),
        "brighter": saved(brighter, 93),
    }.items():
        assert lost_content(original, copy, WHOLE, WHOLE) == "", name
    assert lost_content(original, saved(original[:, ::-1], 93), WHOLE, MIRRORED) == ""


def test_a_crop_follows_and_its_original_does_not() -> None:
    original = photo(3)
    part = saved(original[40:240, 60:300], 90)
    outline = tuple((x / 400, y / 300) for x, y in ((60, 40), (300, 40), (300, 240), (60, 240)))
    assert lost_content(original, part, outline, WHOLE) == ""
    assert lost_content(part, original, WHOLE, outline) == SHOWS_MORE


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_put_over_a_picture_would_be_lost(seed: int) -> None:
    original = photo(seed)
    captioned = original.copy()
    cv2.putText(captioned, "see you", (20, 280), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2)
    assert lost_content(original, saved(captioned), WHOLE, WHOLE) == DIFFERS
    assert lost_content(captioned, saved(original), WHOLE, WHOLE) == DIFFERS


@pytest.mark.parametrize("seed", SEEDS)
def test_shots_of_a_hand_that_hardly_moves_are_told_by_their_grain(seed: int) -> None:
    scene = cv2.GaussianBlur(render_scene(seed, height=300, width=400), (0, 0), 1.0)
    first = saved(shifted(scene, 0.0, 0.0, grain=3.0, seed=1), 92)
    second = saved(shifted(scene, 0.4, -0.3, grain=3.0, seed=2), 92)
    assert lost_content(first, second, WHOLE, WHOLE) == OWN_DETAIL


def test_a_small_thing_that_moved_would_be_lost() -> None:
    first, second = photo(7), photo(7)
    for image, x in ((first, 200), (second, 212)):
        cv2.circle(image, (x, 200), 9, (170, 60, 50), -1, cv2.LINE_AA)
    assert lost_content(saved(first, 92), saved(second, 92), WHOLE, WHOLE) == DIFFERS


@pytest.mark.parametrize("line", ["entry 4: paid in full", "entry 4: nothing old", "entry 4:"])
def test_screens_that_differ_in_a_line_are_two(line: str) -> None:
    usual = screen("entry 4: nothing new")
    for first, second in ((usual, screen(line)), (screen(line), usual)):
        assert lost_content(first, second, WHOLE, WHOLE) == DIFFERS
    assert lost_content(usual, saved(usual, 85), WHOLE, WHOLE) == ""


def test_text_is_not_explained_away_as_a_change_of_tones() -> None:
    """The paper has neither the text's black nor its white: a curve could make both paper."""
    paper = np.full((440, 640, 3), (236, 240, 246), np.uint8)
    for x in range(80, 560, 120):
        cv2.rectangle(paper, (x, 60), (x + 80, 110), (210, 200, 170), -1)
        cv2.line(paper, (x, 110), (x + 60, 300), (0, 120, 0), 2, cv2.LINE_AA)
    labelled = paper.copy()
    cv2.rectangle(labelled, (64, 340), (140, 356), (255, 255, 255), -1)
    cv2.putText(labelled, "No. 11", (66, 352), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1)
    assert lost_content(labelled, paper, WHOLE, WHOLE) == DIFFERS
    assert lost_content(paper, labelled, WHOLE, WHOLE) == DIFFERS


def test_pictures_without_an_alignment_are_not_compared() -> None:
    original = photo(3)
    line = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
    assert lost_content(original, original, line, WHOLE) == NOT_ALIGNED
    assert lost_content(original, original, WHOLE[:3], WHOLE[:3]) == NOT_ALIGNED
    assert lost_content(original[:20, :20], original[:20, :20], WHOLE, WHOLE) == NOT_ALIGNED


def test_equal_pixels_need_no_outline() -> None:
    original = photo(3)
    assert lost_content(original, original, (), ()) == ""
