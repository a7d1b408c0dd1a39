from __future__ import annotations

import numpy as np
import pytest

from asl.app.families.likeness import Likeness, measure_likeness
from asl.app.pairs.pair_verdict import SAME_PIXELS, PairVerdict
from asl.data.images import decode_image
from tests.app.conftest import Pixels, encode, textured

WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def saved(image: Pixels, quality: int) -> Pixels:
    return decode_image(encode(image, quality=quality))


def likeness(first: Pixels, second: Pixels, verdict: PairVerdict = SAME_PIXELS) -> Likeness:
    measured = measure_likeness(first, second, verdict)
    assert measured is not None
    return measured


def test_a_copy_is_closer_to_its_parent_than_to_others() -> None:
    original = saved(textured(3, 200, 240), 95)
    child = saved(original, 80)
    grandchild = saved(child, 60)
    assert likeness(grandchild, child).mean < likeness(grandchild, original).mean
    assert likeness(child, original).mean < likeness(grandchild, original).mean
    assert likeness(original, original).mean == 0


def test_a_crop_is_compared_pixel_by_pixel() -> None:
    """The outline is off by part of a pixel; a crop, mirrored or not, has no other difference."""
    original = textured(5, 200, 240)
    cut = original[20:180, 30:210]
    outline = tuple(
        (x / 239.0, y / 199.0)
        for x, y in ((30.3, 20.2), (209.2, 20.3), (209.3, 178.8), (30.2, 179.2))
    )
    verdict = PairVerdict(0.99, 0.1, WHOLE, outline, 1.0, 0.7)
    assert likeness(cut, original, verdict).mean == 0
    mirrored = PairVerdict(0.99, 0.1, (WHOLE[1], WHOLE[0], WHOLE[3], WHOLE[2]), outline, 1.0, 0.7)
    assert likeness(np.ascontiguousarray(cut[:, ::-1]), original, mirrored).mean == 0


def test_tones_are_told_from_other_differences() -> None:
    original = textured(7, 160, 200)
    darker = np.clip(original * 0.7 + 10, 0, 255).astype(np.uint8)
    measured = likeness(darker, original)
    assert measured.median > 10
    assert measured.first_median < 1
    assert measured.contrast == pytest.approx(np.log(0.7), abs=0.05)
    negative = PairVerdict(
        0.9, 0.9, WHOLE, WHOLE, 1.0, 1.0, edits_forward=("inverted",), edits_backward=("inverted",)
    )
    inverted = np.asarray(255 - original, np.uint8)
    assert likeness(inverted, original, negative).mean == 0


def test_swapping_the_two_swaps_the_values() -> None:
    original, other = textured(1, 120, 150), saved(textured(1, 120, 150), 40)
    forward, backward = likeness(original, other), likeness(other, original)
    assert forward.flipped().flipped() == forward
    assert backward.values() == pytest.approx(forward.flipped().values(), abs=0.2)


def test_nothing_is_measured_without_an_alignment() -> None:
    image = textured(1, 120, 150)
    assert measure_likeness(image, image, PairVerdict(0.9, 0.9)) is None
    sliver = ((0.0, 0.0), (0.05, 0.0), (0.05, 0.05), (0.0, 0.05))
    assert measure_likeness(image, image, PairVerdict(0.9, 0.9, WHOLE, sliver, 1.0, 0.1)) is None
    line = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.0), (0.0, 0.0))
    assert measure_likeness(image, image, PairVerdict(0.9, 0.9, line, WHOLE, 0.1, 1.0)) is None
