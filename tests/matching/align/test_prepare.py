"""Preparation: working size, permuted readings, refused arrays."""

from __future__ import annotations

import numpy as np
import pytest

from asl.matching.align.prepare import prepare, working_image
from asl.matching.values import Settings
from asl.types import AslError
from tests.matching.align.conftest import SETTINGS
from tests.matching.conftest import Image


@pytest.mark.parametrize(
    ("change", "reading"), [(lambda x: x[:, ::-1], "mirror"), (lambda x: 255 - x, "negative")]
)
def test_permuted_features_are_those_of_the_changed_image(
    picture: Image, change: object, reading: str
) -> None:
    assert callable(change)
    expected = prepare(np.ascontiguousarray(change(picture)), SETTINGS)
    found = getattr(prepare(picture, SETTINGS), reading)
    assert np.abs(found.image.astype(int) - expected.image).max() <= 1  # rounding when it is scaled
    distance = np.linalg.norm(expected.points[:, None] - found.points[None], axis=2)
    nearest = distance.argmin(axis=1)
    close = distance.min(axis=1) < 1.0  # OpenCV's places are half a pixel off, to one side
    assert close.mean() > 0.85
    cosine = np.sum(expected.unit[close] * found.unit[nearest[close]], axis=1)
    assert np.median(cosine) > 0.9


def test_what_is_no_image_is_refused() -> None:
    for bad in (
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ):
        with pytest.raises(AslError, match="image"):
            prepare(bad, Settings())


@pytest.mark.parametrize(
    ("shape", "working"),
    [
        ((180, 240), (240, 320)),
        ((600, 400), (320, 213)),
        ((50, 40), (100, 80)),
        ((1280, 40), (1280, 40)),
        ((1, 3000), (1, 1280)),
        ((600, 1200), (160, 320)),
        ((7200, 720), (1012, 101)),
    ],
)
def test_the_longer_side_has_the_working_size_strips_have_more(
    shape: tuple[int, int], working: tuple[int, int]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    scaled = working_image(image, 320)
    assert scaled.shape == (*working, 3)
    assert scaled.mean() == pytest.approx(image.mean(), abs=3)
    if shape == working:
        assert np.array_equal(scaled, image)


def test_gray_images_count_as_rgb_of_equal_channels(picture: Image) -> None:
    gray = np.ascontiguousarray(picture[..., 0])
    expected = prepare(np.repeat(gray[..., None], 3, axis=2), SETTINGS)
    found = prepare(gray, SETTINGS)
    assert np.array_equal(found.image, expected.image)
    assert np.array_equal(found.descriptors, expected.descriptors)
    assert np.abs(found.gray - found.image[..., 1]).max() <= 1


def test_features_are_limited_and_their_bytes_counted(picture: Image) -> None:
    prepared = prepare(picture, Settings(features=50))
    count = len(prepared.points)
    assert 20 < count <= 50
    assert prepared.shape == (240, 320)
    assert prepared.nbytes == 240 * 320 * 3 + count * (2 * 4 + 4 + 4 + 128)
    assert np.linalg.norm(prepared.unit, axis=1) == pytest.approx(1, abs=1e-5)
    assert prepared.mirror.mirror.points == pytest.approx(prepared.points, abs=1e-3)
    assert np.array_equal(prepared.mirror.mirror.descriptors, prepared.descriptors)
    assert np.array_equal(prepared.negative.negative.descriptors, prepared.descriptors)
