"""Colour edits against torchvision's operations, in turn, with the factors of the log."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import functional

from asl.edits.engine.view import View
from asl.edits.photometric import ColourJitter, Contrast, ToneCurve


def jittered(
    image: np.ndarray, brightness: float, contrast: float, hue: float, saturation: float
) -> np.ndarray:
    """In floating point: nothing is rounded on the way."""
    pixels = torch.from_numpy(image).permute(2, 0, 1) / 255
    pixels = functional.adjust_contrast(functional.adjust_brightness(pixels, brightness), contrast)
    pixels = functional.adjust_saturation(functional.adjust_hue(pixels, hue), saturation)
    return (pixels.permute(1, 2, 0) * 255).numpy()


@pytest.mark.parametrize("strength", [0.2, 0.8])
@pytest.mark.parametrize("hue", [0.0, 0.2])
def test_jitter_is_what_torchvision_makes_of_the_same_factors(
    photo: np.ndarray, strength: float, hue: float
) -> None:
    edit = ColourJitter(strength, strength, strength, hue)
    for seed in range(40):
        edited = edit(View.original(photo), np.random.default_rng(seed))
        drawn = {name: value for name, value in edited.log[-1].items() if name != "edit"}
        wrong = np.abs(edited.image - jittered(photo, **drawn))
        # Hue goes in steps of two degrees.
        assert wrong.max() < (16 if hue else 2.5)
        assert wrong.mean() < (1.5 if hue else 0.5)


def test_jitter_leaves_no_picture_black(photo: np.ndarray) -> None:
    edit = ColourJitter(0.8, 0.8, 0.8, 0.2)
    means = [
        edit(View.original(photo), np.random.default_rng(seed)).image.mean() for seed in range(1000)
    ]
    # Brightness alone leaves a fifth.
    assert min(means) > 0.18 * photo.mean()


def test_nothing_drawn_changes_nothing(photo: np.ndarray) -> None:
    view, rng = View.original(photo), np.random.default_rng(0)
    assert np.array_equal(ColourJitter(0, 0, 0, 0)(view, rng).image, photo)
    assert np.array_equal(Contrast((1, 1))(view, rng).image, photo)
    assert np.array_equal(ToneCurve((0, 0))(view, rng).image, photo)


def test_a_level_is_rounded_to_the_nearest() -> None:
    levels = np.arange(256, dtype=np.uint8)
    ramp = np.repeat(np.tile(levels, (8, 1))[..., None], 3, axis=-1)
    for seed in range(10):
        bright = ColourJitter(0.8, 0, 0, 0)(View.original(ramp), np.random.default_rng(seed))
        expected = np.clip(levels * bright.log[-1]["brightness"], 0, 255)
        assert np.abs(bright.image[0, :, 0] - expected).max() <= 0.52  # the log has four places
        edited = Contrast()(View.original(ramp), np.random.default_rng(seed))
        middle = ramp[::4, ::4].mean()
        expected = np.clip((levels - middle) * edited.log[-1]["factor"] + middle, 0, 255)
        assert np.abs(edited.image[0, :, 0] - expected).max() <= 0.52
