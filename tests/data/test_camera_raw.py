"""RAW files are shown by their preview, upright, with the camera's data."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from asl.app.library.picture_parts import PictureParts
from asl.data import signatures
from asl.data.camera_raw import picture_kind, shown_picture
from asl.data.images import ImageError, decode_image
from asl.data.picture_bounds import examine
from asl.models import Preprocessing
from tests.data.photo_files import dng, jpeg

LANDSCAPE = Image.new("RGB", (640, 480), (30, 60, 200))
LANDSCAPE.paste((220, 30, 30), (0, 0, 640, 120))  # red at the top


def red_side(pixels: np.ndarray) -> str:
    sides = {"top": pixels[5], "bottom": pixels[-5], "left": pixels[:, 5], "right": pixels[:, -5]}
    return max(sides, key=lambda side: float(sides[side][..., 0].mean()))


@pytest.mark.parametrize(
    ("orientation", "side"), [(1, "top"), (3, "bottom"), (6, "right"), (8, "left")]
)
def test_the_preview_is_turned_as_the_raw_says(orientation: int, side: str) -> None:
    data = dng(jpeg(LANDSCAPE), orientation=orientation)
    pixels = decode_image(data)
    assert pixels.shape[:2] == ((640, 480) if orientation in (6, 8) else (480, 640))
    assert red_side(pixels) == side


def test_a_preview_that_is_upright_already_is_not_turned_again() -> None:
    upright = LANDSCAPE.rotate(-90, expand=True)
    assert red_side(decode_image(dng(jpeg(upright), orientation=6))) == "right"
    exif = Image.Exif()
    exif[0x0112] = 3
    assert red_side(decode_image(dng(jpeg(LANDSCAPE, exif=exif), orientation=6))) == "bottom"


def test_a_raw_without_a_useful_preview_is_developed() -> None:
    for preview in (b"", jpeg(LANDSCAPE.resize((160, 120)))):
        pixels = decode_image(dng(preview, (1200, 1000), orientation=6))
        assert pixels.shape == (600, 500, 3)
    with pytest.raises(ImageError, match=r"too many pixels: 1\.2 megapixels"):
        decode_image(dng(b"", (1200, 1000)), max_pixels=1_000_000)


def test_the_facts_name_camera_and_format() -> None:
    data = dng(jpeg(LANDSCAPE))
    parts = PictureParts(10**7, 320, Preprocessing(size=64))
    facts, _, _ = parts.within_budget(data, isolate=False)
    assert (facts.format, facts.camera, facts.bytes) == ("camera RAW", "Pentax K-1", len(data))
    assert (facts.width, facts.height) == (640, 480)


def test_a_raw_is_told_from_an_ordinary_tiff(tmp_path: Path) -> None:
    data = dng(jpeg(LANDSCAPE))
    assert picture_kind(data) == "camera RAW"
    assert not examine(data).cheap
    for compression in (None, "tiff_lzw", "jpeg"):
        LANDSCAPE.save(tmp_path / "a.tif", compression=compression)
        assert picture_kind((tmp_path / "a.tif").read_bytes()) == "TIFF"
    assert picture_kind(b"II*\0\x10\0\0\0CR\2\0") == "camera RAW"
    pages = [LANDSCAPE, LANDSCAPE.resize((64, 48))]
    pages[0].save(tmp_path / "b.tif", save_all=True, append_images=pages[1:])
    assert picture_kind((tmp_path / "b.tif").read_bytes()) == "TIFF"


def test_damaged_raw_files_have_a_reason() -> None:
    data = dng(jpeg(LANDSCAPE))
    decode_image(data)  # its preview stays somewhere in memory
    preview = data.index(b"\xff\xd8")
    with pytest.raises(ImageError, match=r"truncated: the preview|LibRaw cannot read"):
        decode_image(data[: preview + 150])
    half = decode_image(data[: len(data) // 2])
    assert half.shape == (480, 640, 3), "all of the preview is there"
    with pytest.raises(ImageError, match=r"truncated|cannot read"):
        decode_image(dng(b"", (1200, 1000))[:-100_000])
    many = bytearray(data)
    struct.pack_into("<H", many, 8, 60000)
    with pytest.raises(ImageError):
        decode_image(bytes(many))
    with pytest.raises(ImageError, match="camera RAW that LibRaw cannot read"):
        decode_image(b"FUJIFILM" + bytes(500))


def test_metadata_that_exceed_the_file_are_refused_before_libraw_reads_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = bytearray(dng(jpeg(LANDSCAPE)))
    entry = data.index(struct.pack("<HH", 50721, 10))  # a colour matrix
    struct.pack_into("<I", data, entry + 4, 1 << 28)
    monkeypatch.setattr("rawpy.imread", lambda _: pytest.fail("LibRaw was asked"))
    with pytest.raises(ImageError, match="metadata of 2147483"):
        decode_image(bytes(data))
    with pytest.raises(ImageError, match="metadata of 2147483"):
        PictureParts(10**7, 320, Preprocessing(size=64)).within_budget(bytes(data), isolate=False)


def test_without_the_package_the_reason_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures, "_installed", lambda module: False)
    data = dng(jpeg(LANDSCAPE))
    assert shown_picture(data, 10**8) is data
    with pytest.raises(ImageError, match=r'to read it: pip install "asl-icd\[photos\]"'):
        decode_image(data)
