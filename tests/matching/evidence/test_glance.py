from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest

from asl.app.pairs.pair_glances import (
    LEAST_ALIGNED,
    LEAST_DIRECT,
    MANY_AGREEING,
    is_plainly_different,
)
from asl.matching.align.agreeing_features import agreeing_features
from asl.matching.align.prepare import prepare
from asl.matching.evidence.glance import Glance, GlancedPicture, glance
from asl.matching.values import Settings
from tests.app.conftest import crop, textured

SETTINGS = Settings()


def ready(image: np.ndarray) -> GlancedPicture:  # type: ignore[type-arg]
    return GlancedPicture(prepare(np.ascontiguousarray(image), SETTINGS))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("negative", [False, True])
def test_a_crop_and_a_blurred_copy_agree_in_every_reading(mirrored: bool, negative: bool) -> None:
    photo = textured(0)
    for copy, is_crop in ((crop(photo), True), (cv2.GaussianBlur(photo, (0, 0), 5.0), False)):
        copy = copy[:, ::-1] if mirrored else copy
        copy = 255 - copy if negative else copy
        for pair in ((copy, photo), (photo, copy)):
            seen = glance(*map(ready, pair), SETTINGS)
            assert (seen.aligned if is_crop else seen.direct) > 0.8
            assert not is_plainly_different(seen)


def test_strangers_are_plainly_different_and_blank_pictures_agree_on_nothing() -> None:
    pictures = [ready(textured(seed)) for seed in range(6)]
    assert all(
        is_plainly_different(glance(one, other, SETTINGS))
        for one, other in combinations(pictures, 2)
    )
    blank = ready(np.full((300, 400, 3), 200, np.uint8))
    assert glance(blank, blank, SETTINGS) == Glance(0, 0.0, 0.0)


def test_features_are_counted_as_the_test_of_pairs_counts_them() -> None:
    for one, other in ((textured(0), crop(textured(0))), (textured(1), textured(2))):
        pair = ready(one), ready(other)
        counted = agreeing_features(pair[0].prepared, pair[1].prepared, SETTINGS)
        assert glance(*pair, SETTINGS).agreeing == counted


def test_every_cue_alone_speaks_for_a_comparison() -> None:
    assert is_plainly_different(
        Glance(MANY_AGREEING - 1, LEAST_ALIGNED - 0.01, LEAST_DIRECT - 0.01)
    )
    assert not is_plainly_different(Glance(MANY_AGREEING, 0.0, 0.0))
    assert not is_plainly_different(Glance(0, LEAST_ALIGNED, 0.0))
    assert not is_plainly_different(Glance(0, 0.0, LEAST_DIRECT))
