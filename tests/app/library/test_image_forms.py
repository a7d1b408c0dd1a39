"""Every form of one picture gives its pixels; everything else is refused by name."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from asl.app.library.image_forms import array_pixels, encoded, is_image
from asl.data.images import decode_image
from asl.types import UsageError
from tests.app.conftest import encode, textured


def pixels(data: bytes) -> np.ndarray:
    return decode_image(data)


def test_one_picture_in_every_form(tmp_path: Path) -> None:
    image = textured(0, 30, 40)
    png = encode(image, "PNG")
    file = tmp_path / "a.png"
    file.write_bytes(png)
    with file.open("rb") as stream:
        forms = [
            png,
            bytearray(png),
            memoryview(png),
            file,
            str(file),
            stream,
            io.BytesIO(png),
            image,
            image.astype(np.float32) / 255,
            image.astype(np.float64) / 255,
            np.dstack([image, np.full((30, 40), 255, np.uint8)]),
            Image.fromarray(image),
            torch.tensor(image).permute(2, 0, 1),
            torch.tensor(image).permute(2, 0, 1).float() / 255,
            torch.tensor(image).permute(2, 0, 1).to(torch.bfloat16) / 255,
        ]
        for form in forms[:-1]:
            assert is_image(form)
            assert np.array_equal(pixels(encoded(form)), image), type(form)
        near = pixels(encoded(forms[-1])).astype(int) - image
        assert np.abs(near).max() <= 1


def test_an_opened_file_gives_the_pixels_of_the_file(tmp_path: Path) -> None:
    """Upright, 16 bits and transparency included, as if its path were given."""
    gray = textured(1, 20, 30)[:, :, 0].copy()
    alpha = Image.fromarray(np.where(gray > 100, 255, 0).astype(np.uint8))
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    Image.fromarray(gray).save(tmp_path / "turned.jpg", exif=turned)
    Image.fromarray(gray.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.merge("LA", [Image.fromarray(gray), alpha]).save(tmp_path / "clear.png")
    Image.fromarray(gray).convert("P").save(tmp_path / "palette.gif", transparency=5)
    for file in sorted(tmp_path.iterdir()):
        with Image.open(file) as opened:
            assert np.array_equal(pixels(encoded(opened)), decode_image(file)), file.name


def test_gray_becomes_three_equal_channels() -> None:
    gray = textured(1, 20, 20)[:, :, 0]
    for form in (gray, gray[:, :, None], gray / 255, torch.tensor(gray)[None]):
        assert np.array_equal(pixels(encoded(form)), np.dstack([gray] * 3))
    assert array_pixels(np.eye(2, dtype=bool)).tolist() == [[255, 0], [0, 255]]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (np.zeros((4, 4, 3), np.int64), "expected uint8 or float pixels, got int64"),
        (np.full((4, 4, 3), 200.0), r"float pixels must be in 0\.\.1, got 200 to 200"),
        (np.full((4, 4), np.nan), r"float pixels must be in 0\.\.1, got nan to nan"),
        (np.zeros((4, 4, 2), np.uint8), r"got uint8 \[4, 4, 2\]"),
        (np.zeros((0, 4, 3), np.uint8), "has no pixels"),
        (np.zeros(4, np.uint8), r"got uint8 \[4\]"),
        (7, "got int"),
        (io.StringIO("text"), "got text; open the file with 'rb'"),
    ],
)
def test_what_is_no_image_is_refused_by_name(form: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        encoded(form)  # type: ignore[arg-type]


def test_a_collection_is_no_image() -> None:
    for images in ([b"x"], {"a.jpg"}, (name for name in "ab")):
        assert not is_image(images)
