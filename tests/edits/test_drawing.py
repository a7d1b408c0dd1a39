"""Drawn edits: what they cover is marked as foreign, the rest of the picture is unaltered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from asl.edits.drawing import Annotate, Censor, Erase, Sticker, Stripes, Text, Watermark
from asl.edits.drawn.stickers import KINDS
from asl.edits.engine.view import View
from asl.types import AslError


def changed(view: View, photo: np.ndarray) -> Any:
    return (view.image != photo).any(axis=2)


@pytest.mark.parametrize("seed", range(5))
def test_erased_rectangles_are_hidden_and_nothing_else_changes(
    photo: np.ndarray, seed: int
) -> None:
    view = Erase(area=(0.05, 0.15))(View.original(photo), np.random.default_rng(seed))
    hidden = view.trace.valid() == 0
    assert not (changed(view, photo) & ~hidden).any()
    assert changed(view, photo)[hidden].mean() > 0.9
    assert view.cover == pytest.approx(1 - hidden.mean())
    assert view.content == pytest.approx(view.cover, abs=0.03)
    nothing = Erase(count=(0, 0))(View.original(photo), np.random.default_rng(seed))
    assert np.array_equal(nothing.image, photo)


@pytest.mark.parametrize("seed", range(5))
def test_stripes_are_of_one_colour_and_wider_ones_cover_more(photo: np.ndarray, seed: int) -> None:
    covers = []
    for width in (0.01, 0.03, 0.08):
        edit = Stripes(width=(width, width), count=(4, 4), smear=0.0)
        view = edit(View.original(photo), np.random.default_rng(seed))
        hidden = view.trace.valid() == 0
        assert view.log[0]["count"] == 4
        assert not (changed(view, photo) & ~hidden).any()
        assert len(np.unique(view.image[hidden], axis=0)) == 1
        covers.append(view.cover)
    assert covers == sorted(covers, reverse=True)
    assert covers[-1] < covers[0] < 1


def test_opaque_text_hides_and_translucent_text_does_not(photo: np.ndarray) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        opaque = Text(height=(0.2, 0.2))(View.original(photo), rng)
        assert opaque.cover < 1
        assert (changed(opaque, photo) >= (opaque.trace.valid() == 0)).mean() > 0.99
        faint = Text(height=(0.2, 0.2), opacity=(0.4, 0.4))(View.original(photo), rng)
        assert faint.cover == 1.0
        assert changed(faint, photo).any()
    signs = Text(signs=5, lines=(2, 2))(View.original(photo), np.random.default_rng(0))
    lines = signs.log[0]["text"].split("\n")
    assert len(lines) == 2
    assert all(1 <= len(line) <= 5 for line in lines)


def test_a_watermark_reaches_every_quarter_and_hides_nothing(photo: np.ndarray) -> None:
    for seed in range(4):
        view = Watermark(opacity=(0.3, 0.3))(View.original(photo), np.random.default_rng(seed))
        marks = changed(view, photo)
        quarters = [marks[y : y + 60, x : x + 80] for y in (0, 60) for x in (0, 80)]
        assert all(quarter.any() for quarter in quarters)
        assert view.cover == 1.0


def test_stickers_are_counted_and_unknown_kinds_and_fonts_refused(photo: np.ndarray) -> None:
    edit = Sticker(count=(3, 3), kinds=("heart", "star"))
    view = edit(View.original(photo), np.random.default_rng(2))
    assert [entry["edit"] for entry in view.log] == ["sticker"] * 3
    assert {entry["kind"] for entry in view.log} <= {"heart", "star"}
    assert view.cover < 1
    with pytest.raises(AslError, match=f"kinds: expected some of {KINDS[0]}.*, got cat"):
        Sticker(kinds=("cat",))
    with pytest.raises(AslError, match="got none"):
        Sticker(kinds=())
    with pytest.raises(AslError, match="cannot be read as a TrueType"):
        Text(fonts=("nowhere.ttf",))


def test_bars_are_of_one_colour_and_hide_what_they_cover(photo: np.ndarray) -> None:
    for seed in range(6):
        view = Censor(count=(3, 3))(View.original(photo), np.random.default_rng(seed))
        hidden = ~np.isfinite(view.map[..., 0])
        assert 0 < hidden.mean() < 0.6
        assert len(np.unique(view.image[hidden], axis=0)) == 1
        np.testing.assert_array_equal(view.image[~hidden], photo[~hidden])


def test_marks_are_thin_and_of_one_colour(photo: np.ndarray) -> None:
    for seed in range(6):
        view = Annotate(count=(3, 3))(View.original(photo), np.random.default_rng(seed))
        changed = (view.image != photo).any(axis=2)
        assert 0 < changed.mean() < 0.35
        assert len(np.unique(view.image[changed], axis=0)) == 1
        assert view.content < 1
