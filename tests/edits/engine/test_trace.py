from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asl.edits import composite, drawing, geometric, local_warps
from asl.edits.engine.edit_base import Edit
from asl.edits.engine.trace import Trace, resize_matrix, transform
from asl.edits.engine.view import View

GEOMETRIC: list[Edit] = [
    geometric.Crop(area=(0.2, 0.9)),
    geometric.Resize(scale=(0.5, 1.5)),
    geometric.ChangeAspect(),
    geometric.Pad(),
    geometric.RotateRight(),
    geometric.Flip(vertical=0.5),
    geometric.Rotate(degrees=(-170, 170)),
    geometric.Rotate(degrees=(-40, 40), grow=False, border="reflect"),
    geometric.Shear(),
    geometric.Perspective(),
    geometric.Translate(),
    local_warps.Elastic(),
    local_warps.GridDistortion(),
    local_warps.OpticalDistortion(),
    local_warps.ShuffleTiles(),
    local_warps.Kaleidoscope(),
    local_warps.Repeat(),
]
COVERING: list[Edit] = [
    drawing.Text(),
    drawing.Sticker(),
    drawing.Stripes(),
    drawing.Erase(),
    drawing.Censor(),
    composite.OverlayOnto(opacity=(1.0, 1.0)),
    composite.ImageOnTop(opacity=(1.0, 1.0)),
    composite.Collage(),
    composite.Meme(),
    composite.Screenshot(),
    composite.Frame(),
]


def shown(image: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Read original positions from the colours of a view of the ramp: the outside answer."""
    scale = np.array([source.shape[1] - 1, source.shape[0] - 1]) / 255
    return image[..., :2] * scale


def wrong_share(view: View, source: np.ndarray, pixels: float) -> float:
    """Share of valid pixels, rims aside, whose colour is over ``pixels`` away from the map."""
    valid = np.isfinite(view.map[..., 0]).astype(np.uint8)
    inner = cv2.erode(valid, np.ones((3, 3), np.uint8), borderValue=1) > 0
    if not inner.any():
        return 0.0
    distance = np.abs(shown(view.image, source) - view.map).max(axis=-1)[inner]
    return float((distance > pixels).mean())


@pytest.mark.parametrize("edit", GEOMETRIC + COVERING, ids=lambda edit: edit.name)
def test_the_map_says_what_the_pixels_show(edit: Edit, ramp: np.ndarray) -> None:
    views = [edit(View.original(ramp), np.random.default_rng(seed)) for seed in range(12)]
    # Thin strokes have half-covered pixels that are no rim of anything hidden; so has the frame
    # along a slight slant.
    allowed = 0.02 if isinstance(edit, drawing.Text | drawing.Sticker) else 0.003
    allowed = 0.01 if isinstance(edit, geometric.Shear) else allowed
    assert max(wrong_share(view, ramp, 2.0) for view in views) < allowed
    assert any(np.isfinite(view.map[..., 0]).any() for view in views)


@pytest.mark.parametrize(
    "edit",
    [
        geometric.Crop(),
        geometric.Flip(vertical=0.5),
        geometric.RotateRight(),
        local_warps.ShuffleTiles(),
        local_warps.Kaleidoscope(),
    ],
    ids=lambda edit: edit.name,
)
def test_moves_of_whole_pixels_are_exact(edit: Edit, ramp: np.ndarray) -> None:
    for seed in range(8):
        assert wrong_share(edit(View.original(ramp), np.random.default_rng(seed)), ramp, 0.6) == 0.0


def test_what_thin_lines_hide_does_not_come_back_with_a_dense_map(photo: np.ndarray) -> None:
    view = View.original(photo)
    lines = np.zeros(view.size, bool)
    lines[:, ::8] = True
    striped = view.replaced(view.image, {"edit": "lines"}, trace=view.trace.hide(lines))
    assert striped.content == pytest.approx(0.875, abs=0.01)
    waved = local_warps.Elastic(strength=(0.002, 0.002))(striped, np.random.default_rng(0))
    assert waved.content <= striped.content


@pytest.mark.parametrize(
    "edit",
    [
        drawing.Text(),
        drawing.Sticker(),
        drawing.Stripes(width=(0.002, 0.004)),
        drawing.Stripes(),
        composite.Frame(),
    ],
    ids=lambda edit: edit.name,
)
def test_what_is_covered_does_not_grow_with_every_warp(edit: Edit) -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        covered = edit(View.original(np.zeros((300, 400, 3), np.uint8)), rng)
        view = covered
        for _ in range(3):
            view = geometric.Perspective(strength=(0.02, 0.02))(view, rng)
        assert view.content == pytest.approx(covered.content, abs=0.015)


@example([14, 0, 1, 1], 8)  # averaged across the seams of shuffled tiles
@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, len(GEOMETRIC) - 1), min_size=1, max_size=4), st.integers(0, 10_000))
def test_any_chain_keeps_the_way_back_and_never_regains_content(
    chain: list[int], seed: int
) -> None:
    from_y, from_x = np.mgrid[0:120, 0:160]
    ramp = (
        np.stack([from_x * 255 / 159, from_y * 255 / 119, from_x * 0], axis=-1)
        .round()
        .astype(np.uint8)
    )
    view, rng = View.original(ramp), np.random.default_rng(seed)
    before = 1.0
    for number in chain:
        view = GEOMETRIC[number](view, rng)
        assert view.content <= before + 0.05, [entry["edit"] for entry in view.log]
        before = view.content
        assert 0 <= view.cover <= 1
        assert 0 <= view.fidelity <= 1
    assert wrong_share(view, ramp, 4.0) < 0.03, view.log


def test_content_of_a_dense_map_agrees_with_the_one_of_its_matrix(photo: np.ndarray) -> None:
    for top, left, height, width in [(0, 0, 120, 160), (10, 20, 60, 60), (40, 90, 40, 70)]:
        trace = Trace.identity((120, 160)).crop(top, left, height, width)
        dense = Trace(trace.size, trace.source, None, trace.dense())
        assert dense.content() == pytest.approx(trace.content(), abs=0.03)


def test_transform_with_depth_by_hand() -> None:
    matrix = np.array([[1.0, 0, 0], [0, 1, 0], [0.5, 0, 1]])
    points = np.array([[2.0, 4.0]], np.float32)
    assert transform(matrix, points).tolist() == [[1.0, 2.0]]  # depth 2


def test_resize_keeps_the_outer_edges() -> None:
    matrix = resize_matrix((10, 20), (5, 5))
    corners = np.array([[-0.5, -0.5], [4.5, 4.5]], np.float32)
    assert transform(matrix, corners).tolist() == [[-0.5, -0.5], [19.5, 9.5]]
