from __future__ import annotations

import json

import numpy as np
import pytest

from asl.edits.benchmark_kinds import LEVELS, benchmark_kinds, hard_kinds
from asl.edits.engine.edit_base import Edit
from asl.edits.engine.foreign_images import Pool
from asl.edits.engine.view import View

KINDS = benchmark_kinds()
EVERY = {f"{level}/{kind}": edit for level in LEVELS for kind, edit in LEVELS[level]().items()}


def test_there_are_at_least_twenty() -> None:
    assert len(KINDS) >= 20
    assert {
        "crop",
        "small_crop",
        "pad",
        "overlay_onto",
        "image_on_top",
        "screenshot",
        "chain",
    } <= KINDS.keys()


@pytest.mark.parametrize("kind", EVERY)
def test_a_kind_changes_the_picture_and_leaves_some_of_it(
    kind: str, photo: np.ndarray, pool: Pool
) -> None:
    for seed in range(4):
        view = EVERY[kind](View.original(photo, foreign=pool), np.random.default_rng(seed))
        assert view.image.dtype == np.uint8
        assert view.image.ndim == 3
        assert view.log
        assert 0 < view.content <= 1
        assert 0 < view.cover <= 1
        assert view.image.shape != photo.shape or not np.array_equal(view.image, photo)
        json.dumps(view.describe(), allow_nan=False)


def test_every_edited_view_counts_less_than_its_original(photo: np.ndarray, pool: Pool) -> None:
    for kind, edit in KINDS.items():
        view = edit(View.original(photo, foreign=pool), np.random.default_rng(5))
        takes_nothing = kind in ("flip", "turn", "aspect", "invert", "distort")
        assert view.amount < (1.0 if takes_nothing else 0.995), (kind, view.amount)


def test_hard_kinds_are_chains_that_leave_less_than_single_edits(
    photo: np.ndarray, pool: Pool
) -> None:
    def edited(edit: Edit) -> list[View]:
        views = (View.original(photo, foreign=pool) for _ in range(3))
        return [edit(view, np.random.default_rng(seed)) for seed, view in enumerate(views)]

    hard = [view for edit in hard_kinds().values() for view in edited(edit)]
    assert min(len(view.log) for view in hard) >= 2
    assert max(len(view.log) for view in hard) >= 5
    plain = [view for edit in KINDS.values() for view in edited(edit)]
    assert np.mean([v.amount for v in hard]) < np.mean([v.amount for v in plain])
