"""Projective edits: pixels, map, log and content agree with the drawn parameters."""

from __future__ import annotations

import numpy as np
import pytest

from asl.edits.engine.trace import pixel_grid
from asl.edits.engine.view import View
from asl.edits.geometric import (
    ChangeAspect,
    Crop,
    Flip,
    Pad,
    Rotate,
    RotateRight,
    Settle,
    Translate,
)


@pytest.mark.parametrize("seed", range(6))
def test_a_crop_is_the_rectangle_of_its_log(photo: np.ndarray, seed: int) -> None:
    view = Crop(area=(0.2, 0.8))(View.original(photo), np.random.default_rng(seed))
    entry, (height, width) = view.log[0], view.size
    top, left = round(entry["top"] * 120), round(entry["left"] * 160)
    assert (round(entry["height"] * 120), round(entry["width"] * 160)) == (height, width)
    assert np.array_equal(view.image, photo[top : top + height, left : left + width])
    assert view.map[0, 0].tolist() == [left, top]
    assert view.map[-1, -1].tolist() == [left + width - 1, top + height - 1]
    assert view.content == pytest.approx(height * width / (120 * 160), abs=0.02)
    assert view.cover == 1.0


def test_turns_and_mirrors_are_those_of_numpy(photo: np.ndarray) -> None:
    turns = set()
    for seed in range(12):
        rng, grid = np.random.default_rng(seed), pixel_grid((120, 160))
        turned = RotateRight()(View.original(photo), rng)
        count = turned.log[0]["degrees"] // 90
        turns.add(count)
        assert np.array_equal(turned.image, np.rot90(photo, count))
        assert np.array_equal(turned.map, np.rot90(grid, count))
        mirrored = Flip(vertical=0.5)(View.original(photo), rng)
        axis = 0 if mirrored.log[0]["vertical"] else 1
        assert np.array_equal(mirrored.image, np.flip(photo, axis))
        assert np.array_equal(mirrored.map, np.flip(grid, axis))
    assert turns == {1, 2, 3}


@pytest.mark.parametrize("seed", range(8))
def test_padding_keeps_the_picture_inside_a_plain_border(photo: np.ndarray, seed: int) -> None:
    view = Pad(share=(0.1, 0.3))(View.original(photo), np.random.default_rng(seed))
    top, bottom, left, right = view.log[0]["sides"]
    assert view.size == (120 + top + bottom, 160 + left + right)
    inside = np.zeros(view.size, bool)
    inside[top : top + 120, left : left + 160] = True
    assert np.array_equal(view.image[inside].reshape(photo.shape), photo)
    assert (view.image[~inside] == view.log[0]["colour"]).all()
    assert np.array_equal(view.trace.valid() > 0, inside)
    assert view.cover == pytest.approx(inside.mean())
    assert view.content == 1.0


def test_a_rotation_by_a_right_angle_grows_the_frame_and_moves_whole_pixels(
    photo: np.ndarray,
) -> None:
    view = Rotate(degrees=(90, 90))(View.original(photo), np.random.default_rng(0))
    assert view.size == (160, 120)
    assert np.abs(view.image.astype(int) - np.rot90(photo)).max() <= 1
    assert np.abs(view.map - np.rot90(pixel_grid((120, 160)))).max() < 1e-3


def test_a_translation_shifts_and_loses_what_leaves_the_frame(photo: np.ndarray) -> None:
    edit = Translate(share=(0.1, 0.1), border="constant")
    view = edit(View.original(photo), np.random.default_rng(0))
    assert np.array_equal(view.image[:-12, :-16], photo[12:, 16:])
    assert not view.trace.valid()[-12:].any()
    assert not view.trace.valid()[:, -16:].any()
    assert view.content == pytest.approx(0.81, abs=0.02)
    assert view.cover == pytest.approx(0.81)


def test_a_squeeze_keeps_the_area_and_a_reduction_leaves_no_entry(photo: np.ndarray) -> None:
    squeezed = ChangeAspect(ratio=(1.5, 1.5))(View.original(photo), np.random.default_rng(0))
    height, width = squeezed.size
    assert width / height == pytest.approx(160 / 120 * squeezed.log[0]["ratio"], rel=0.02)
    assert height * width == pytest.approx(120 * 160, rel=0.02)
    rng = np.random.default_rng(0)
    unknown = View.original(photo)
    assert Settle()(unknown, rng) is unknown
    settled = Settle(times=1.25)(View.original(photo, target=32), rng)
    assert np.sqrt(settled.size[0] * settled.size[1]) == pytest.approx(40, abs=1)
    assert (settled.log, settled.content, settled.cover) == ((), 1.0, 1.0)
