"""Composites: the picture stays unaltered in its place, the rest is foreign."""

from __future__ import annotations

import numpy as np
import pytest

from asl.edits import composite
from asl.edits.engine.edit_base import Edit
from asl.edits.engine.foreign_images import Pool
from asl.edits.engine.view import View


def test_covering_hides_and_framing_does_not(photo: np.ndarray, pool: object) -> None:
    view = View.original(photo, foreign=pool)
    covered = composite.ImageOnTop(area=(0.25, 0.25), opacity=(1, 1))(
        view, np.random.default_rng(0)
    )
    assert covered.content == pytest.approx(0.75, abs=0.02)
    assert covered.cover == pytest.approx(0.75, abs=0.02)
    inside = composite.OverlayOnto(area=(0.25, 0.25), opacity=(1, 1))(
        view, np.random.default_rng(0)
    )
    assert inside.content == pytest.approx(1.0, abs=0.01)
    assert inside.cover < 0.3


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "edit",
    [
        composite.OverlayOnto(opacity=(1, 1)),
        composite.Collage(),
        composite.Meme(),
        composite.Screenshot(),
    ],
    ids=lambda edit: edit.name,
)
def test_the_whole_picture_is_in_its_place_and_the_rest_is_foreign(
    photo: np.ndarray, pool: Pool, edit: Edit, seed: int
) -> None:
    view = edit(View.original(photo, foreign=pool), np.random.default_rng(seed))
    valid = view.trace.valid() > 0
    assert np.array_equal(view.image[valid].reshape(photo.shape), photo)
    assert view.map[valid].reshape(120, 160, 2)[-1, -1].tolist() == [159, 119]
    assert view.content == 1.0
    assert view.cover == pytest.approx(120 * 160 / (view.size[0] * view.size[1]))
    assert view.cover < 1


def test_a_blend_mixes_by_its_share_and_hides_from_seventy_percent(photo: np.ndarray) -> None:
    foreign = Pool([np.full((30, 40, 3), 200, np.uint8)])
    for share, cover in ((0.3, 1.0), (0.69, 1.0), (0.7, 0.0)):
        edit = composite.Blend(share=(share, share))
        view = edit(View.original(photo, foreign=foreign), np.random.default_rng(0))
        assert np.abs(view.image - (photo * (1 - share) + 200 * share)).max() <= 0.51
        assert view.cover == cover


def test_a_cut_piece_is_the_same_piece_of_the_other_picture(photo: np.ndarray) -> None:
    other = np.random.default_rng(9).integers(0, 256, photo.shape, dtype=np.uint8)
    view = composite.CutMix(area=(0.25, 0.25))(
        View.original(photo, foreign=Pool([other])), np.random.default_rng(0)
    )
    hidden = view.trace.valid() == 0
    assert hidden.mean() == 0.25
    assert np.array_equal(view.image, np.where(hidden[..., None], other, photo))


def test_a_frame_hides_the_edge_alone(photo: np.ndarray) -> None:
    view = composite.Frame(width=(0.1, 0.1))(View.original(photo), np.random.default_rng(0))
    inner = (slice(12, -12), slice(12, -12))
    assert np.array_equal(view.image[inner], photo[inner])
    assert view.trace.valid()[inner].all()
    assert view.cover == pytest.approx(96 * 136 / (120 * 160))
    assert len(np.unique(view.image[view.trace.valid() == 0], axis=0)) == 1
