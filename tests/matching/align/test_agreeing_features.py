from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from asl.matching.align.agreeing_features import TELLING_FEATURES, agreeing_features
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
        assert (agreeing_features(*map(ready, pair), SETTINGS) or 0) >= 20


def test_strangers_and_blank_pictures_agree_on_nothing() -> None:
    pictures = [ready(textured(seed)) for seed in range(6)]
    counts = [
        agreeing_features(one, other, SETTINGS)
        for place, one in enumerate(pictures)
        for other in pictures[:place]
    ]
    assert max(count or 0 for count in counts) < 10
    assert sum(count == 0 for count in counts) >= 12


@pytest.mark.parametrize("kept", [0, 4, TELLING_FEATURES - 1])
def test_few_features_do_not_tell_that_they_disagree(kept: int) -> None:
    """Strong blur leaves some ten features, none of which agrees."""
    one, other = ready(textured(0)), ready(textured(1))
    assert agreeing_features(one, other, SETTINGS) == 0
    few = _first_features(one, kept)
    assert agreeing_features(few, other, SETTINGS) is None
    assert agreeing_features(other, few, SETTINGS) is None
    assert agreeing_features(_first_features(one, TELLING_FEATURES), other, SETTINGS) == 0
    if kept > 50:
        assert (agreeing_features(few, one, SETTINGS) or 0) >= 5, "that they agree is told"


def _first_features(image: Prepared, count: int) -> Prepared:
    return replace(
        image,
        points=image.points[:count],
        scales=image.scales[:count],
        angles=image.angles[:count],
        descriptors=image.descriptors[:count],
    )


def test_pixels_are_not_looked_at() -> None:
    """A scan counts with the features alone."""
    photo, small = textured(1), cv2.resize(textured(1)[:, ::-1], (200, 150))
    one, other = ready(photo), ready(small)
    bare = [
        Prepared(np.zeros((1, 1, 3), np.uint8), p.points, p.scales, p.angles, p.descriptors)
        for p in (one, other)
    ]
    count = agreeing_features(one, other, SETTINGS)
    assert agreeing_features(*bare, SETTINGS) == count
    assert (count or 0) > 20
