"""Text as alpha masks: size, weight and slant show; words and signs are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.edits.drawn.glyphs import font, gibberish, letters, sentence
from asl.types import AslError


def test_letters_grow_with_their_size_and_lines() -> None:
    small, large = letters("Hello", 20), letters("Hello", 40)
    assert large.shape[0] == pytest.approx(2 * small.shape[0], abs=3)
    assert large.shape[1] == pytest.approx(2 * small.shape[1], abs=3)
    assert letters("Hello\nHello", 20).shape[0] > 1.8 * small.shape[0]
    assert small.max() == 255
    assert not small.flags.writeable
    for edge in (large[:2], large[-2:]):
        assert edge.any(), "cut to the strokes"


def test_bold_adds_ink_and_slant_leans_to_the_right() -> None:
    plain, bold = letters("Il", 40), letters("Il", 40, bold=2)
    assert int(bold.sum(dtype=np.int64)) > 1.3 * int(plain.sum(dtype=np.int64))
    stroke, slanted = letters("l", 60), letters("l", 60, slant=0.25)
    reach = round(0.25 * stroke.shape[0])
    assert slanted.shape == (stroke.shape[0], stroke.shape[1] + reach)
    columns = np.arange(slanted.shape[1])
    top, bottom = (rows.sum(axis=0, dtype=float) for rows in (slanted[:9], slanted[-9:]))
    lean = (top @ columns) / top.sum() - (bottom @ columns) / bottom.sum()
    assert lean == pytest.approx(0.25 * (slanted.shape[0] - 9), abs=2)


def test_words_and_signs_are_drawn_by_seed() -> None:
    text = sentence(np.random.default_rng(3), 6)
    assert len(text.split(" ")) == 6
    assert text == sentence(np.random.default_rng(3), 6) != sentence(np.random.default_rng(4), 6)
    signs = gibberish(np.random.default_rng(3), 400)
    assert len(signs) == 400
    assert " " not in signs
    assert len(set(signs)) > 60


def test_a_file_that_is_no_font_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "text.ttf").write_text("no font")
    for name in ("text.ttf", "missing.ttf"):
        with pytest.raises(AslError, match=rf"fonts: .*{name}.* cannot be read as a TrueType"):
            font(12, str(tmp_path / name))
