"""Crops take the share of the image that they name."""

from __future__ import annotations

import numpy as np

from asl.features.cropping import Region, cut


def test_cut_takes_the_share_and_at_least_a_pixel() -> None:
    image = np.arange(10 * 20 * 3, dtype=np.uint8).reshape(10, 20, 3)
    np.testing.assert_array_equal(cut(image, Region(0.5, 0.0, 0.5, 0.5)), image[:5, 10:])
    np.testing.assert_array_equal(cut(image, None), image)
    assert cut(image[:1, :1], Region(0.5, 0.5, 0.5, 0.5)).shape == (1, 1, 3)


def test_a_thumbnail_has_the_longer_side_asked_for_and_never_grows() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 120, 3), dtype=np.uint8)
    small = cut(image, Region(0.0, 0.0, 1.0, 1.0, pixels=24))
    assert small.shape == (12, 24, 3)
    np.testing.assert_allclose(small[0, 0], image[:5, :5].reshape(25, 3).mean(axis=0), atol=1)
    assert cut(image, Region(0.0, 0.0, 1.0, 1.0, pixels=500)).shape == image.shape
