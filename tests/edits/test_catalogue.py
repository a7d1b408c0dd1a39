"""The catalogue: every edit with its defaults, deterministic, pure and described."""

from __future__ import annotations

import json

import numpy as np
import pytest

from asl.edits.catalogue import every_edit
from asl.edits.engine.foreign_images import Pool
from asl.edits.engine.view import View

EDITS = every_edit()


def test_there_are_more_than_forty() -> None:
    assert len(EDITS) > 50


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_deterministic_pure_and_described(
    name: str, photo: np.ndarray, pool: Pool
) -> None:
    view, before = View.original(photo, foreign=pool, target=64), photo.copy()
    for seed in range(4):
        edited = EDITS[name](view, np.random.default_rng(seed))
        again = EDITS[name](view, np.random.default_rng(seed))
        assert np.array_equal(edited.image, again.image)
        assert edited.log == again.log
        assert edited.image.dtype == np.uint8
        assert edited.image.flags.c_contiguous
        assert edited.map.shape == (*edited.size, 2)
        assert 0 <= edited.amount <= 1
        json.dumps(edited.describe(), allow_nan=False)
    assert np.array_equal(photo, before)
    assert view.log == ()
    if name != "resize":
        changed = EDITS[name](view, np.random.default_rng(3))
        assert changed.log
        assert changed.image.shape != photo.shape or not np.array_equal(changed.image, photo)


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_takes_any_size(name: str) -> None:
    for size in [(2, 2), (3, 60), (60, 3), (9, 11)]:
        image = np.random.default_rng(0).integers(0, 256, size=(*size, 3), dtype=np.uint8)
        for seed in range(4):
            view = EDITS[name](View.original(image), np.random.default_rng(seed))
            assert min(view.size) >= 1
            assert 0 <= view.content <= 1
            assert 0 <= view.cover <= 1
            assert 0 <= view.fidelity <= 1


def test_names_are_sorted_and_combinations_are_left_out() -> None:
    assert list(EDITS) == sorted(EDITS)
    assert all(name == edit.name for name, edit in EDITS.items())
    combinations = {"sequence", "shuffled", "maybe", "one_of", "some_of", "settle"}
    assert combinations.isdisjoint(EDITS)
    assert {"crop", "recompress", "overlay_onto", "swirl", "erase", "vignette"} <= EDITS.keys()
    assert every_edit()["crop"] is not EDITS["crop"]
