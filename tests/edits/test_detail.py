"""Edits of detail: the geometry stays, the loss follows the drawn strength."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from asl.edits.detail import (
    DefocusBlur,
    GaussianBlur,
    Morphology,
    MotionBlur,
    Noise,
    Pixelise,
    Recompress,
    Sharpen,
)
from asl.edits.engine.edit_base import Edit
from asl.edits.engine.view import View


def test_lower_jpeg_quality_leaves_less_fidelity(photo: np.ndarray) -> None:
    fidelity = []
    for quality in (95, 50, 20, 5, 1):
        edit = Recompress(quality=(quality, quality), times=(1, 1), webp=0.0)
        view = edit(View.original(photo), np.random.default_rng(0))
        assert view.log[0]["chain"] == [["jpeg", quality]]
        encoded = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        assert np.array_equal(view.image, cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1])
        fidelity.append(view.fidelity)
        assert (view.content, view.cover) == (1.0, 1.0)
    assert fidelity == sorted(fidelity, reverse=True)
    assert fidelity[0] > 0.95 > fidelity[-1]


def test_a_point_is_blurred_into_a_disc_and_a_line() -> None:
    point = np.zeros((101, 101, 3), np.uint8)
    point[50, 50] = 255
    disc = DefocusBlur(radius=(3, 3))(View.original(point), np.random.default_rng(0)).image[..., 0]
    y, x = np.nonzero(disc)
    assert np.hypot(y - 50, x - 50).max() <= 3.5
    assert disc[50, 47:54].min() == disc[47:54, 50].min() == disc.max()
    assert len(np.unique(disc[disc > 0])) == 1
    edit = MotionBlur(length=(9, 9))
    for seed in range(4):
        view = edit(View.original(point), np.random.default_rng(seed))
        y, x = np.nonzero(view.image[..., 0])
        angle = np.deg2rad(view.log[0]["degrees"])
        across = (x - 50) * np.sin(angle) - (y - 50) * np.cos(angle)
        assert np.abs(across).max() <= 1
        assert 6 <= len(y) <= 9


@pytest.mark.parametrize("sigma", [5.0, 20.0])
def test_noise_has_the_drawn_deviation(sigma: float) -> None:
    gray = np.full((200, 200, 3), 128, np.uint8)
    kinds = set()
    for seed in range(8):
        view = Noise(sigma=(sigma, sigma))(View.original(gray), np.random.default_rng(seed))
        assert view.image.astype(float).std() == pytest.approx(sigma, rel=0.05)
        assert view.image.mean() == pytest.approx(128, abs=0.5)
        same = bool((view.image == view.image[..., :1]).all())
        assert same is not view.log[0]["coloured"]
        kinds.add(same)
    assert kinds == {True, False}


def test_squares_have_the_mean_of_their_pixels(photo: np.ndarray) -> None:
    edit = Pixelise(squares=(8, 8), smooth=0.0)
    view = edit(View.original(photo), np.random.default_rng(0))
    means = photo.reshape(6, 20, 8, 20, 3).mean(axis=(1, 3))
    expected = np.repeat(np.repeat(means, 20, axis=0), 20, axis=1)
    assert np.abs(view.image - expected).max() <= 0.51
    assert view.fidelity < 0.8


@pytest.mark.parametrize("edit", [GaussianBlur(), MotionBlur(), DefocusBlur(), Sharpen()])
def test_a_plain_picture_stays_as_it_is(edit: Edit) -> None:
    gray = np.full((60, 80, 3), 90, np.uint8)
    view = edit(View.original(gray), np.random.default_rng(0))
    assert np.abs(view.image.astype(int) - 90).max() <= 1


def test_bright_areas_grow_or_shrink_and_edges_are_raised(photo: np.ndarray) -> None:
    grown = set()
    for seed in range(8):
        view = Morphology()(View.original(photo), np.random.default_rng(seed))
        sign = 1 if view.log[0]["grow"] else -1
        assert (sign * (view.image.astype(int) - photo) >= 0).all()
        grown.add(sign)
    assert grown == {1, -1}
    steps = [
        np.abs(np.diff(image.astype(int), axis=1)).mean()
        for image in (
            photo,
            Sharpen(amount=(1, 1))(View.original(photo), np.random.default_rng(0)).image,
            Sharpen(amount=(3, 3))(View.original(photo), np.random.default_rng(0)).image,
        )
    ]
    assert steps[0] < steps[1] < steps[2]
