from __future__ import annotations

import cv2
import numpy as np
import pytest

from asl.matching.align.agreeing_features import agreeing_features
from asl.matching.align.prepare import Prepared, prepare
from asl.matching.values import Settings
from tests.app.conftest import crop, textured

SETTINGS = Settings()


def ready(image: np.ndarray) -> Prepared:  # type: ignore[type-arg]
    return prepare(np.ascontiguousarray(image), SETTINGS)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("turns", [0, 1])
def test_a_crop_agrees_in_every_reading(mirrored: bool, negative: bool, turns: int) -> None:
    photo = textured(0)
    copy = np.rot90(crop(photo), turns)
    copy = copy[:, ::-1] if mirrored else copy
    copy = 255 - copy if negative else copy
    for pair in ((copy, photo), (photo, copy)):
        assert agreeing_features(*map(ready, pair), SETTINGS) >= 20


def test_strangers_and_blank_pictures_agree_on_nothing() -> None:
    pictures = [ready(textured(seed)) for seed in range(6)]
    counts = [
        agreeing_features(one, other, SETTINGS)
        for place, one in enumerate(pictures)
        for other in pictures[:place]
    ]
    assert max(counts) < 10
    assert sum(count == 0 for count in counts) >= 12
    blank = ready(np.full((300, 400, 3), 200, np.uint8))
    assert agreeing_features(blank, pictures[0], SETTINGS) == 0
    assert agreeing_features(pictures[0], blank, SETTINGS) == 0


def test_pixels_are_not_looked_at() -> None:
    """A scan counts with the features alone."""
    photo, small = textured(1), cv2.resize(textured(1)[:, ::-1], (200, 150))
    one, other = ready(photo), ready(small)
    bare = [
        Prepared(np.zeros((1, 1, 3), np.uint8), p.points, p.scales, p.angles, p.descriptors)
        for p in (one, other)
    ]
    assert agreeing_features(*bare, SETTINGS) == agreeing_features(one, other, SETTINGS) > 20
