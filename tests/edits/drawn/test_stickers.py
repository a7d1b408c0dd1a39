"""Stickers: every kind is drawn, repeatable, and different for another seed."""

from __future__ import annotations

import numpy as np
import pytest

from asl.edits.drawn.stickers import KINDS, sticker


@pytest.mark.parametrize("kind", KINDS)
def test_a_sticker_is_a_shape_inside_its_square(kind: str) -> None:
    for side in (8, 48):
        image, alpha = sticker(kind, 5, side)
        assert (image.shape, alpha.shape) == ((side, side, 3), (side, side))
        assert image.dtype == alpha.dtype == np.uint8
        assert not image.flags.writeable
        assert alpha.max() == 255
        assert 0.1 < (alpha > 127).mean() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_features_and_colours_follow_the_seed(kind: str) -> None:
    first = sticker(kind, 1, 32)
    sticker.cache_clear()
    again = sticker(kind, 1, 32)
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    drawn = {sticker(kind, seed, 32)[0].tobytes() for seed in range(8)}
    assert len(drawn) >= (2 if kind == "bubble" else 8), "only the sign in a bubble varies"


def test_a_heart_is_symmetric_and_of_one_colour() -> None:
    image, alpha = sticker("heart", 2, 64)
    assert np.abs(alpha.astype(int) - alpha[:, ::-1]).mean() < 6
    assert len(np.unique(image[alpha == 255], axis=0)) == 1
    assert alpha[-1, 0] == alpha[-1, -1] == 0
