"""Local warps: pieces stay what they were, loss is counted, nothing drawn is nothing done."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl.edits import geometric, local_warps
from asl.edits.engine.edit_base import Edit
from asl.edits.engine.view import View

WHOLE_FRAME: list[
    tuple[Edit, float]
] = [  # moves that lose nothing, and what content may be off by (docs/edits.md)
    (geometric.Perspective(strength=(0.02, 0.2)), 0.01),
    (geometric.Rotate(degrees=(-40, 40)), 0.01),
    (geometric.Resize(scale=(0.6, 1.5)), 0.01),
    (local_warps.Elastic(strength=(0.002, 0.004)), 0.03),
    (local_warps.GridDistortion(), 0.03),
]


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0, 0.6),
    st.lists(st.sampled_from(WHOLE_FRAME), min_size=1, max_size=3),
    st.booleans(),
    st.integers(0, 99),
)
def test_scattered_loss_stays_what_it_was(
    share: float, moves: list[tuple[Edit, float]], late: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    view = View.original(np.random.default_rng(1).integers(0, 256, (180, 240, 3), dtype=np.uint8))
    shuffle = local_warps.ShufflePixels(share=(share, share))
    if late:
        view = moves[0][0](view, rng)
    shuffled = shuffle(view, rng)
    assert shuffled.content == pytest.approx(view.content * (1 - share), abs=0.01)
    assert shuffled.cover == pytest.approx(view.cover * (1 - share), abs=0.01)
    for edit, allowed in moves:
        moved = edit(shuffled, rng)
        assert moved.content == pytest.approx(shuffled.content, abs=allowed)
        shuffled = moved


def test_content_counts_a_part_that_is_shown_twice_once(photo: np.ndarray) -> None:
    view = local_warps.Kaleidoscope()(View.original(photo), np.random.default_rng(1))
    expected = 0.25 if view.log[0]["both"] else 0.5
    assert view.content == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    "edit",
    [local_warps.ShuffleTiles(), local_warps.Kaleidoscope(), local_warps.CopyMove()],
    ids=lambda edit: edit.name,
)
def test_pieces_are_made_of_pixels_of_the_original(photo: np.ndarray, edit: Edit) -> None:
    for seed in range(4):
        view = edit(View.original(photo), np.random.default_rng(seed))
        valid = np.isfinite(view.map[..., 0])
        x, y = view.map[valid].T.astype(int)
        assert np.array_equal(view.image[valid], photo[y, x])
        assert 0.6 < valid.mean() <= 1


def test_tiles_are_all_there_halves_mirror_and_repetitions_repeat(photo: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    shuffled = local_warps.ShuffleTiles(tiles=(2, 2))(View.original(photo), rng)
    assert np.array_equal(np.sort(shuffled.image, axis=None), np.sort(photo, axis=None))
    mirrored = local_warps.Kaleidoscope()(View.original(photo), rng).image
    assert np.array_equal(mirrored, mirrored[:, ::-1])
    assert np.array_equal(mirrored[:60, :80], photo[:60, :80])
    views = [
        local_warps.Repeat(times=(2, 2))(View.original(photo), np.random.default_rng(seed))
        for seed in range(8)
    ]
    plain = next(view for view in views if not view.log[0]["mirror"])
    tiles = [plain.image[y : y + 60, x : x + 80] for y in (0, 60) for x in (0, 80)]
    assert all(np.array_equal(tile, photo[::2, ::2]) for tile in tiles)


@pytest.mark.parametrize(
    "edit",
    [
        local_warps.Elastic(strength=(0, 0)),
        local_warps.GridDistortion(strength=(0, 0)),
        local_warps.OpticalDistortion(coefficient=(0, 0)),
        local_warps.Swirl(degrees=(0, 0)),
        local_warps.Glass(reach=(0, 0)),
        local_warps.ShufflePixels(share=(0, 0)),
    ],
    ids=lambda edit: edit.name,
)
def test_no_strength_changes_nothing(photo: np.ndarray, edit: Edit) -> None:
    view = edit(View.original(photo), np.random.default_rng(0))
    assert np.abs(view.image.astype(int) - photo).max() <= 1
    assert np.abs(view.map - View.original(photo).map).max() < 1e-3


def test_glass_scatters_within_its_reach_and_shuffled_pixels_are_counted(
    ramp: np.ndarray, photo: np.ndarray
) -> None:
    rng = np.random.default_rng(0)
    scattered = local_warps.Glass(reach=(2, 2))(View.original(ramp), rng).image
    scale = np.array([159, 119]) / 255
    moved = np.abs(scattered[..., :2] * scale - ramp[..., :2] * scale)
    assert 2 < moved.max() <= 3.2 + 0.5 + 0.7  # the reach, the nearest pixel, colours of the ramp
    view = local_warps.ShufflePixels(share=(0.2, 0.2))(View.original(photo), rng)
    differs = (view.image != photo).any(axis=2).mean()
    assert differs == pytest.approx(0.2, abs=0.02)
    assert view.cover == view.content == pytest.approx(0.8, abs=0.02)
    assert np.array_equal(np.sort(view.image, axis=None), np.sort(photo, axis=None))
