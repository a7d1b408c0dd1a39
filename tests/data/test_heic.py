"""HEIC as for other formats: upright, transparency on white, bounds, a reason where it fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from asl.app.library.picture_parts import PictureParts
from asl.data import signatures
from asl.data.decode_budget import within_budget
from asl.data.images import ImageError, decode_image
from asl.data.picture_bounds import examine
from asl.models import Preprocessing
from tests.data.photo_files import heic

RED = Image.new("RGB", (96, 64), (200, 30, 40))
RED.paste((0, 0, 255), (48, 0, 96, 64))
PARTS = PictureParts(10**7, 320, Preprocessing(size=64))


def test_a_photo_is_upright_and_keeps_its_facts() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F], exif[0x0110] = "Apple", "iPhone 15"
    data = heic(RED, exif=exif.tobytes())
    facts, _, pixels = PARTS.within_budget(data, isolate=False)
    assert (facts.width, facts.height) == (64, 96)
    assert (facts.format, facts.camera) == ("HEIC", "Apple iPhone 15")
    upright = decode_image(data)
    assert upright.shape == (96, 64, 3)
    assert upright[5, 32, 0] > 150, "red at the top"
    assert upright[90, 32, 2] > 150
    assert pixels.shape == (64, 64, 3)


def test_transparency_and_grey() -> None:
    clear = RED.convert("RGBA")
    clear.putalpha(0)
    assert decode_image(heic(clear)).min() > 250
    grey = decode_image(heic(Image.new("L", (64, 64), 77)))
    assert np.abs(grey.astype(int) - 77).max() < 4


def test_the_declared_size_bounds_the_work() -> None:
    data = heic(RED)
    assert examine(data).pixels == 96 * 64
    assert not examine(data).cheap, "decoded in a process that can be ended"
    with pytest.raises(ImageError, match="too many pixels"):
        decode_image(data, max_pixels=1000)
    with pytest.raises(ImageError):
        within_budget(PARTS, data[: len(data) // 2], max_pixels=10**7)


def test_a_heic_of_another_name_is_read(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(heic(RED))
    assert decode_image(tmp_path / "photo.jpg").shape == (64, 96, 3)


def test_without_the_package_the_reason_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures, "_installed", lambda module: False)
    with pytest.raises(
        ImageError, match=r'a HEIC picture; to read it: pip install "asl-icd\[photos\]"'
    ):
        decode_image(heic(RED))
