"""A bar, a border or a screen around a picture is told from a wider view of the same."""

from __future__ import annotations

import numpy as np
import pytest

from asl import compare
from asl.data.scenes import render_scene
from asl.edits.composite import Meme, Screenshot
from asl.edits.engine.edit_base import Edit
from asl.edits.engine.make_views import view_rng
from asl.edits.engine.view import View
from asl.edits.geometric import Crop, Pad
from tests.app.conftest import Pixels, encode

FRAMES: dict[str, Edit] = {
    "meme": Meme(bar=(0.2, 0.3)),
    "screenshot": Screenshot(share=(0.5, 0.7)),
    "border": Pad(share=(0.1, 0.2)),
}


def edited(edit: Edit, number: int) -> tuple[bytes, bytes]:
    """A drawn scene and its edited copy, both of them JPEGs."""
    scene: Pixels = render_scene(number, height=360, width=480)
    copy = edit(View.original(scene), view_rng(key=str(number), seed=3, number=0)).image
    return encode(scene, quality=88), encode(np.ascontiguousarray(copy), quality=88)


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("number", [1, 4])
def test_the_picture_in_a_frame_is_the_copy(name: str, number: int) -> None:
    original, copy = edited(FRAMES[name], number)
    assert compare(copy, original).direction == "reference->query"
    assert compare(original, copy).direction == "query->reference"


@pytest.mark.parametrize("number", [1, 4])
def test_the_wider_view_is_the_original(number: int) -> None:
    original, copy = edited(Crop(area=(0.4, 0.6)), number)
    assert compare(copy, original).direction == "reference->query"
    assert compare(original, copy).direction == "query->reference"


def test_a_page_is_no_frame_of_its_part() -> None:
    page = np.full((400, 400, 3), 245, np.uint8)
    scene = render_scene(2, height=120, width=160)
    page[60:180, 120:280] = scene
    page[250:256, 60:340:2] = 40
    part = np.ascontiguousarray(page[20:220, 70:330])
    assert compare(encode(part), encode(page)).direction != "query->reference"
