"""Filters against their formulas, with the parameters of the log."""

from __future__ import annotations

import numpy as np
import pytest

from asl.edits.engine.view import View
from asl.edits.filters import Cartoon, Darken, Fade, Halftone, Moire, Tint, Vignette


def plain(level: int, height: int = 121, width: int = 161) -> View:
    return View.original(np.full((height, width, 3), level, np.uint8))


@pytest.mark.parametrize("seed", range(4))
def test_fading_and_darkening_are_linear(photo: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    faded = Fade()(View.original(photo), rng)
    share, colour = faded.log[0]["share"], np.array(faded.log[0]["colour"])
    assert np.abs(faded.image - (photo * share + colour * (1 - share))).max() <= 0.52
    dark = Darken()(View.original(photo), rng)
    assert np.abs(dark.image - photo * dark.log[0]["factor"]).max() <= 0.52
    bright = Darken(factor=(3, 3))(View.original(photo), rng)
    assert np.array_equal(bright.image, np.minimum(photo.astype(int) * 3, 255))


def test_a_full_tint_depends_on_brightness_alone(photo: np.ndarray) -> None:
    level = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    ramp = np.repeat(level[..., None], 3, axis=2)
    view = Tint(share=(1, 1))(View.original(ramp), np.random.default_rng(0))
    dark, middle, light = view.log[0]["colours"]
    assert view.image[0, 0].tolist() == dark
    assert view.image[0, 128].tolist() == middle
    assert view.image[0, 255].tolist() == light
    untouched = Tint(share=(0, 0))(View.original(photo), np.random.default_rng(0))
    assert np.array_equal(untouched.image, photo)


@pytest.mark.parametrize(("light", "corner"), [(0.0, 120), (1.0, 222)])
def test_a_vignette_changes_the_corners_and_not_the_centre(light: float, corner: int) -> None:
    view = Vignette(strength=(0.4, 0.4), light=light)(plain(200), np.random.default_rng(0))
    assert view.image[60, 80].tolist() == [200] * 3
    for place in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert np.abs(view.image[place].astype(int) - corner).max() <= 1


def test_a_halftone_prints_more_ink_where_it_is_darker() -> None:
    means = []
    for level in (0, 60, 128, 190, 255):
        view = Halftone(gray=1.0)(plain(level), np.random.default_rng(1))
        assert (view.image == view.image[..., :1]).all()
        means.append(view.image.mean())
    assert means == sorted(means)
    assert means[0] < 20
    assert 100 < means[2] < 155
    assert means[-1] > 235


def test_a_cartoon_has_few_levels_and_moire_averages_out(photo: np.ndarray) -> None:
    view = Cartoon(colours=(4, 4))(View.original(photo), np.random.default_rng(0))
    assert set(np.unique(view.image)) <= {0, 32, 96, 160, 224}
    bands = Moire(strength=(0.2, 0.2))(plain(128), np.random.default_rng(0)).image.astype(float)
    assert bands.mean() == pytest.approx(128, abs=2)
    assert np.abs(bands - 128).max() <= 0.2 * 128 + 1
    assert bands.std() == pytest.approx(0.2 * 128 / np.sqrt(2), rel=0.1)
