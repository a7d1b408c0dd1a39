"""No picture takes more than its budget, whatever it says about itself."""

from __future__ import annotations

import os

import pytest
from PIL import Image

from asl.data import decode_budget
from asl.data.decode_budget import budget_for, within_budget
from asl.data.endable_process import Budget, Parts
from asl.data.images import ImageError, decode_image
from asl.data.scenes import render_scene
from asl.data.signatures import FORMATS
from tests.data.crafted_pictures import DRAWN, MAX_PIXELS, SLOW, Measured, saved
from tests.data.test_endable_process import spin


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in DRAWN]
)
def test_a_crafted_picture_stays_within_its_budget(name: str) -> None:
    """The process that decodes is ended beyond 8 s and 500 MB; a reply shows that it was not."""
    draw, expected = DRAWN[name]
    megabytes, outcome = measured(draw())
    assert megabytes <= 500
    if expected == "ok":
        assert outcome.startswith("("), outcome
    elif expected == "refused":
        assert not outcome.startswith("("), outcome
    elif expected != "any":
        assert outcome.startswith(expected), outcome


def test_fifty_crafted_pictures_cover_all_formats_that_are_always_read_and_more() -> None:
    formats = {name.split(":")[0].replace(" ", "").upper() for name in DRAWN}
    assert len(DRAWN) >= 50
    assert formats == {*FORMATS, "MPO", "APNG", "ICO", "PSD", "HEIC", "JPEGXL"}


def measured(data: bytes) -> tuple[int, str]:
    try:
        text, _ = within_budget(Measured(), data, max_pixels=MAX_PIXELS, isolate=True)
    except ImageError as error:
        return 0, error.reason
    _, megabytes, outcome = text.split(" ", 2)
    return int(megabytes), outcome


def process(_: bytes) -> Parts:
    return str(os.getpid()), []


def test_a_cheap_picture_is_decoded_here_and_a_costly_one_elsewhere() -> None:
    photo = saved(Image.fromarray(render_scene(0, height=60, width=80)), "JPEG")
    wide = saved(Image.new("L", (9000, 4000)), "PNG")
    own = str(os.getpid())
    assert within_budget(process, photo, max_pixels=MAX_PIXELS)[0] == own
    assert within_budget(process, photo, max_pixels=MAX_PIXELS, isolate=True)[0] != own
    assert within_budget(process, wide, max_pixels=MAX_PIXELS)[0] != own


def test_an_ended_picture_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_budget, "budget_for", lambda _: Budget(1.0, 300 << 20))
    with pytest.raises(ImageError, match=r"^too costly: decoding takes more than 1 s"):
        within_budget(spin, b"costly", max_pixels=MAX_PIXELS)


def test_the_budget_follows_the_largest_picture() -> None:
    assert budget_for(50_000_000) == Budget(8.0, 460_000_000)
    assert budget_for(100_000_000) == Budget(16.0, 920_000_000)
    assert budget_for(1000).memory >= 300 << 20


def test_a_progressive_jpeg_that_needs_too_much_memory_is_refused_unread() -> None:
    """The decoder keeps two bytes a coefficient; it would call the file broken."""
    whole = saved(Image.new("RGB", (64, 64)), "JPEG", progressive=True, subsampling=0, quality=90)
    place = whole.index(b"\xff\xc2") + 5
    large = whole[:place] + (7000).to_bytes(2) * 2 + whole[place + 4 :] + bytes(1 << 20)
    with pytest.raises(ImageError, match="too costly: decoding takes more than 460 MB of memory"):
        within_budget(Measured(), large, max_pixels=MAX_PIXELS)


def test_a_jpeg_2000_comes_out_half_as_large_where_it_takes_too_much_memory() -> None:
    photo = Image.fromarray(render_scene(0, height=600, width=800))
    whole, tiled = (saved(photo, "JPEG2000", tile_size=size) for size in (None, (128, 128)))
    limit = 600 * 800 + 1
    assert decode_image(whole, max_pixels=limit).shape == (300, 400, 3)
    assert decode_image(whole, max_pixels=3 * limit).shape == (600, 800, 3)
    assert decode_image(tiled, max_pixels=limit).shape == (600, 800, 3)
