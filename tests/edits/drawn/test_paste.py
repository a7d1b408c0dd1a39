"""Pasting: exact pixels, cut at the edge, foreign where the picture hides the view."""

from __future__ import annotations

import numpy as np
import pytest

from asl.edits.drawn.paste import foreign_image, mixed, paste, random_box
from asl.edits.engine.foreign_images import Pool
from asl.edits.engine.view import View


def noise(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("top", "left"), [(10, 20), (-15, -25), (100, 140), (-200, 0), (0, 160), (-5, 150)]
)
def test_parts_beyond_the_edge_are_cut(photo: np.ndarray, top: int, left: int) -> None:
    patch = noise(1, 40, 50)
    expected, hidden = photo.copy(), np.zeros((120, 160), bool)
    for y in range(40):
        for x in range(50):
            if 0 <= y + top < 120 and 0 <= x + left < 160:
                expected[y + top, x + left] = patch[y, x]
                hidden[y + top, x + left] = True
    view = paste(View.original(photo), patch, None, top, left, {"edit": "paste"})
    assert np.array_equal(view.image, expected)
    assert np.array_equal(view.trace.valid() == 0, hidden)
    assert view.log == ({"edit": "paste"},)


def test_the_shape_blends_and_hides_from_seventy_percent(photo: np.ndarray) -> None:
    patch, alpha = noise(2, 120, 160), np.tile(np.linspace(0, 255, 160).astype(np.uint8), (120, 1))
    for opacity in (1.0, 0.8, 0.5):
        view = paste(View.original(photo), patch, alpha, 0, 0, {}, opacity=opacity)
        share = alpha[..., None] / 255 * opacity
        assert np.abs(view.image - (photo * (1 - share) + patch * share)).max() <= 0.51
        assert np.array_equal(view.trace.valid() == 0, share[..., 0] >= 0.7)
    faint = paste(View.original(photo), patch, None, 0, 0, {}, opacity=0.69)
    assert faint.cover == 1.0
    assert np.array_equal(mixed(patch, photo, None, 1.0), patch)


def test_a_foreign_image_keeps_its_proportions(photo: np.ndarray) -> None:
    x = np.arange(100, dtype=np.uint8)
    columns = np.repeat(np.tile(2 * x, (50, 1))[..., None], 3, axis=2)
    view = View.original(photo, foreign=Pool([columns]))
    square = foreign_image(view, np.random.default_rng(0), (50, 50))
    assert np.array_equal(square, columns[:, 25:75]), "its middle"
    assert foreign_image(view, np.random.default_rng(0), (90, 31)).shape == (90, 31, 3)
    alone = foreign_image(View.original(photo), np.random.default_rng(0), (30, 40))
    assert alone.shape == (30, 40, 3)
    assert alone.std() > 20


def test_a_random_box_lies_inside_and_has_its_area() -> None:
    rng = np.random.default_rng(0)
    boxes = [random_box(rng, (120, 160), 0.2, 1.3) for _ in range(300)]
    for top, left, height, width in boxes:
        assert (height, width) == (47, 82)
        assert 0 <= top <= 120 - height
        assert 0 <= left <= 160 - width
    assert height * width == pytest.approx(0.2 * 120 * 160, rel=0.02)
    assert width / height == pytest.approx(1.3 * 160 / 120, rel=0.02)
    tops, lefts = {box[0] for box in boxes}, {box[1] for box in boxes}
    assert (min(tops), max(tops), min(lefts), max(lefts)) == (0, 73, 0, 78)
    assert random_box(rng, (120, 160), 1.0, 5.0)[3] == 160, "no wider than the view"
