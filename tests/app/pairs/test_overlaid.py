"""What was laid over a photograph is told from what the photograph shows, and from other edits."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from asl import compare
from asl.app.pairs.overlaid import overlaid
from asl.data.scenes import render_scene
from asl.edits.composite import ImageOnTop
from asl.edits.detail import GaussianBlur, Noise, Pixelise, Recompress, Sharpen
from asl.edits.drawing import Annotate, Erase, Sticker, Text
from asl.edits.engine.edit_base import Edit
from asl.edits.engine.foreign_images import Pool
from asl.edits.engine.make_views import view_rng
from asl.edits.engine.view import View
from asl.edits.filters import Vignette
from asl.edits.photometric import ColourJitter
from tests.app.conftest import Pixels, encode

SIDES = (240, 320)
ADDED: dict[str, Edit] = {
    "text": Text(height=(0.08, 0.12)),
    "sticker": Sticker(side=(0.2, 0.35), count=(1, 2)),
    "picture": ImageOnTop(area=(0.06, 0.15), faint=0),
    "pen": Annotate(count=(1, 2), width=(0.012, 0.02)),
    "bar": Erase(area=(0.05, 0.1), count=(1, 1)),
}
OTHER: dict[str, Edit] = {
    "compressed": Recompress(quality=(15, 40)),
    "blurred": GaussianBlur(sigma=(0.8, 3.0)),
    "sharpened": Sharpen(amount=(1.0, 2.0)),
    "noisy": Noise(sigma=(10, 30)),
    "pixelated": Pixelise(squares=(20, 50)),
    "toned": ColourJitter(brightness=0.4, contrast=0.4),
    "darkened": Vignette(strength=(0.3, 0.6)),
}


def scene(number: int) -> Pixels:
    return np.array(render_scene(number, height=SIDES[0], width=SIDES[1]), np.uint8)


def edited(image: Pixels, edit: Edit, number: int) -> Pixels:
    pool = Pool([scene(900 + number)])
    return edit(
        View.original(image, foreign=pool), view_rng(key=str(number), seed=1, number=0)
    ).image


def side(first: Pixels, second: Pixels) -> int:
    """Compare two pictures after a JPEG of each."""
    pictures = [
        cv2.imdecode(np.frombuffer(encode(picture), np.uint8), cv2.IMREAD_COLOR)
        for picture in (first, second)
    ]
    mask = np.pad(np.ones((SIDES[0] - 6, SIDES[1] - 6), bool), 3)
    one, other = (picture.astype(np.float32) for picture in pictures)
    told = overlaid(one, other, mask)
    assert overlaid(other, one, mask) == -told
    return told


@pytest.mark.parametrize("kind", ADDED)
def test_the_picture_that_something_was_laid_over_is_told(kind: str) -> None:
    told = [side(edited(scene(n), ADDED[kind], n), scene(n)) for n in range(8)]
    assert -1 not in told
    assert sum(told) >= 4, told


@pytest.mark.parametrize("kind", OTHER)
def test_other_edits_lay_nothing_over_either(kind: str) -> None:
    assert not any(side(edited(scene(n), OTHER[kind], n), scene(n)) for n in range(8))


@pytest.mark.parametrize(
    "change",
    [
        lambda part: cv2.GaussianBlur(part, (0, 0), 6),
        lambda part: cv2.resize(part[4::8, 4::8], part.shape[1::-1], interpolation=0),
    ],
    ids=["blurred", "pixelated"],
)
def test_a_place_that_lost_its_detail_has_nothing_over_it(
    change: Callable[[Pixels], Pixels],
) -> None:
    told = []
    for number in range(8):
        image = scene(number)
        image[60:140, 80:200] = change(image[60:140, 80:200])
        told.append(side(image, scene(number)))
    assert not any(told), told


def test_both_or_neither_is_not_told() -> None:
    for number in range(8):
        first, second = scene(number), scene(number)
        cv2.putText(first, "first words", (20, 60), cv2.FONT_HERSHEY_DUPLEX, 1.0, (255, 255, 0), 2)
        assert side(first, second) == 1
        cv2.putText(second, "others", (150, 200), cv2.FONT_HERSHEY_DUPLEX, 1.2, (0, 0, 255), 3)
        assert side(first, second) == 0
        assert side(scene(number), scene(number)) == 0


def test_the_original_is_the_one_that_nothing_was_laid_over() -> None:
    photo = scene(4)
    copy = photo.copy()
    cv2.putText(copy, "have a nice day", (20, 210), cv2.FONT_HERSHEY_DUPLEX, 1.0, (255, 255, 0), 2)
    match = compare(encode(copy), encode(photo))
    assert match.direction == "reference->query"
    assert match.why == "something was laid over the other one"
