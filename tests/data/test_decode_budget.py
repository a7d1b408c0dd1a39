"""No picture takes more than its budget, whatever it says about itself."""

from __future__ import annotations

import os

import pytest
from PIL import Image

from asl.data import decode_budget
from asl.data.decode_budget import budget_for, within_budget
from asl.data.endable_process import Budget, Parts
from asl.data.images import ImageError
from asl.data.scenes import render_scene
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
    elif expected != "any":
        assert outcome.startswith(expected), outcome


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
    assert budget_for(50_000_000) == Budget(8.0, 500_000_000)
    assert budget_for(100_000_000) == Budget(16.0, 1_000_000_000)
    assert budget_for(1000).memory >= 300 << 20
