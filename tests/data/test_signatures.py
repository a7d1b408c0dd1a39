"""Formats are known by their first bytes, as Pillow writes them."""

from __future__ import annotations

import io

import pytest
from PIL import Image, features

from asl.data import signatures
from asl.data.signatures import (
    FORMATS,
    HEAD_BYTES,
    OPTIONAL,
    PICTURE_EXTENSIONS,
    decoder_of,
    is_optional,
    is_read,
    picture_format,
    read_extensions,
)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_that_is_decoded_is_known(kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    for mode in ("RGB", "L"):
        buffer = io.BytesIO()
        Image.new(mode, (40, 30)).save(buffer, kind)
        assert picture_format(buffer.getvalue()[:HEAD_BYTES]) == kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "camera RAW"),
        (b"\xff\x0a\xff", "JPEG XL"),
        (b"II*\0\x10\0\0\0CR\2\0", "camera RAW"),
        (b"FOVb", "camera RAW"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\0\0\0\x18ftypisom\0\0\0\1", None),
        (b"BM, said the letter", None),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"%PDF-1.7", None),
        (b"", None),
    ],
)
def test_others_are_named_or_unknown(head: bytes, kind: str | None) -> None:
    assert picture_format(head) == kind


def test_what_is_read_follows_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_extensions() < PICTURE_EXTENSIONS
    monkeypatch.setattr(signatures, "_installed", lambda module: module == "pillow_heif")
    assert decoder_of("HEIC") == "pillow_heif"
    assert is_read("HEIC")
    assert not is_read("JPEG XL")
    assert is_read("JPEG")
    assert not is_read(None)
    assert {".heic", ".jpg"} <= read_extensions()
    assert not {".jxl", ".cr2", ".psd"} & read_extensions()
    monkeypatch.setattr(signatures, "_installed", lambda module: True)
    assert {ending for form in OPTIONAL for ending in form.endings} < read_extensions()
    labels = (".heic", ".photo (HEIC)", "without ending (camera RAW)", ".psd", ".tar")
    assert [is_optional(label) for label in labels] == [True, True, True, False, False]
