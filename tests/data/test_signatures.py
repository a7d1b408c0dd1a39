"""Formats are known by their first bytes, as Pillow writes them."""

from __future__ import annotations

import io

import pytest
from PIL import Image, features

from asl.data.signatures import EXTENSIONS, FORMATS, HEAD_BYTES, UNREAD, picture_format


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


def test_an_ending_is_read_or_not() -> None:
    assert not EXTENSIONS & UNREAD
