"""Crops take the share of the image that they name."""

from __future__ import annotations

import numpy as np

from asl.data.images import encode_image
from asl.edits.engine.scaling import scaled
from asl.features.cropping import CropRegions, Region, cut, network_input
from asl.models import Preprocessing


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


def test_the_input_is_resized_as_the_model_says() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    linear, cubic = (
        Preprocessing(size=64, resampling=name)  # type: ignore[arg-type]
        for name in ("linear", "cubic")
    )
    np.testing.assert_array_equal(network_input(image, linear), scaled(image, 64, 64))
    assert (network_input(image, cubic) != network_input(image, linear)).mean() > 0.5
    for plan in (linear, cubic):
        _, (whole, part) = CropRegions([None, Region(0.0, 0.0, 0.5, 1.0)], plan)(
            encode_image(image, 0)
        )
        np.testing.assert_array_equal(whole, network_input(image, plan))
        np.testing.assert_array_equal(part, network_input(image[:, :20], plan))
