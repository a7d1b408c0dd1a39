"""Ordinary pictures are proven to be cheap; what multiplies work is refused unread."""

from __future__ import annotations

import struct

import pytest
from PIL import Image

from asl.data.picture_bounds import TOO_SHORT, Bounds, examine
from asl.data.scenes import render_scene
from tests.data.crafted_pictures import DRAWN, PROGRESSIVE, SLOW, jpeg, saved, scan, segment

PHOTO = Image.fromarray(render_scene(3, height=300, width=400))


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("GIF", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("BMP", {}),
        ("PPM", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_an_ordinary_picture_is_cheap(form: str, options: dict[str, object]) -> None:
    bounds = examine(saved(PHOTO, form, **options))
    assert bounds.cheap
    assert (bounds.pixels, bounds.excess, bounds.thin) == (300 * 400, "", False)


@pytest.mark.parametrize("form", ["AVIF", "JPEG2000"])
def test_formats_whose_work_nothing_bounds_are_not_cheap(form: str) -> None:
    bounds = examine(saved(PHOTO, form))
    assert not bounds.cheap
    assert bounds.pixels == 300 * 400
    assert examine(b"neither") == Bounds()


def test_most_crafted_pictures_are_refused_unread() -> None:
    refused = {name for name in DRAWN if name not in SLOW and examine(DRAWN[name][0]()).excess}
    assert len(refused) >= 18
    assert {name.split(":")[0] for name in refused} >= {"jpeg", "png", "gif", "tiff", "webp"}


def test_markers_inside_segments_are_no_scans() -> None:
    """A thumbnail or a video after the picture holds any bytes."""
    hidden = segment(0xE5, b"\xff\xda" * 500)
    whole = jpeg(PROGRESSIVE, scan(1, 0, 0, 0) + bytes(100_000), hidden, scan(1, 1, 63, 0))
    assert examine(whole).excess == ""
    assert examine(whole + b"\xff\xda\0\x02" * 500).excess == ""


def test_a_jpeg_with_little_data_is_looked_at_twice() -> None:
    blank = saved(Image.new("RGB", (2000, 2000)), "JPEG")
    assert examine(blank).thin
    assert examine(blank[:2000]).excess == TOO_SHORT


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "PPM", "TIFF", "AVIF"])
def test_a_file_that_ends_anywhere_raises_nothing(form: str) -> None:
    data = saved(PHOTO, form)
    for length in [*range(200), *range(200, len(data), len(data) // 50)]:
        examine(data[:length])


def test_tiles_and_planes_of_a_tiff_are_counted() -> None:
    def tiled(count: int) -> bytes:
        tags = {256: 64, 257: 64, 258: 8, 259: 50_000, 277: 3, 284: 2, 322: 32, 323: 32}
        entries = [(tag, 3, 1, value) for tag, value in tags.items()]
        entries += [(324, 4, count, 8), (325, 4, count, 8)]
        table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
        return b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(200)

    assert examine(tiled(12)).excess == ""
    assert examine(tiled(4)).excess == TOO_SHORT
