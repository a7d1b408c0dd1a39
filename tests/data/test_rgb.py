"""Conversion in strips gives the pixels of Pillow's own conversions."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from asl.data.rgb import to_rgb

WIDTH, HEIGHT = 700, 900  # several strips


def opened(image: Image.Image, orientation: int = 1) -> Image.Image:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "TIFF" if image.mode in ("CMYK", "F") else "PNG", exif=exif)
    return Image.open(buffer)


def noise(channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, channels), dtype=np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "CMYK"])
def test_every_mode_is_converted_as_pillow_does(mode: str) -> None:
    image = Image.fromarray(noise(3)).convert(mode)
    np.testing.assert_array_equal(to_rgb(opened(image)), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_as_pillow_does(orientation: int) -> None:
    image = Image.fromarray(noise(3))
    expected = np.asarray(ImageOps.exif_transpose(opened(image, orientation)))
    np.testing.assert_array_equal(to_rgb(opened(image, orientation)), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_composited_on_white(mode: str) -> None:
    image = Image.fromarray(noise(4), "RGBA").convert(mode)
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    expected = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    np.testing.assert_array_equal(to_rgb(opened(image)), np.asarray(expected))


def test_a_large_white_drawing_on_transparency_gets_a_black_background() -> None:
    """Counted on a sample of it."""
    layers = np.zeros((5000, 600, 4), np.uint8)
    layers[1000:4000, 200:400] = 255
    assert to_rgb(opened(Image.fromarray(layers, "RGBA")))[0, 0].tolist() == [0, 0, 0]


def test_gray_of_more_than_eight_bits_is_scaled() -> None:
    deep = np.linspace(0, 65535, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
    expected = np.floor(deep * (255 / 65535) + 0.5)
    np.testing.assert_array_equal(to_rgb(opened(Image.fromarray(deep)))[..., 1], expected)
    light = deep.astype(np.float32) / 600
    light[0, 0] = np.nan
    got = to_rgb(opened(Image.fromarray(light)))[..., 2]
    assert (got[0, 0], got[-1, -1]) == (0, 255)
    assert (np.diff(got.ravel()[1:].astype(int)) >= 0).all()
