"""A view: what is visible of its original, in what detail, and through which resizes."""

from __future__ import annotations

import numpy as np
import pytest

from asl.edits import local_warps
from asl.edits.detail import GaussianBlur, Noise
from asl.edits.engine.trace import pixel_grid
from asl.edits.engine.view import View, structure
from asl.edits.geometric import Crop, Flip, RotateRight
from asl.edits.photometric import Levels


def test_the_original_is_all_there(photo: np.ndarray) -> None:
    view = View.original(photo)
    assert (view.content, view.cover, view.fidelity, view.amount) == (1.0, 1.0, 1.0, 1.0)
    assert np.array_equal(view.map, pixel_grid((120, 160)))


def test_a_smaller_working_size_leads_back_to_the_same_original(ramp: np.ndarray) -> None:
    view = View.original(ramp, working=(60, 80))
    assert view.source_size == (120, 160)
    assert view.map[0, 0].tolist() == [0.5, 0.5]
    assert view.map[-1, -1].tolist() == [158.5, 118.5]
    assert (view.content, view.cover, view.fidelity) == (1.0, 1.0, 1.0)


def test_hiding_everything_leaves_nothing(photo: np.ndarray) -> None:
    for view in (
        View.original(photo),
        local_warps.Elastic()(View.original(photo), np.random.default_rng(0)),
    ):
        gone = view.replaced(
            view.image * 0, {"edit": "hide"}, trace=view.trace.hide(np.ones(view.size, bool))
        )
        assert (gone.content, gone.cover, gone.fidelity, gone.amount) == (0.0, 0.0, 0.0, 0.0)
        assert np.isnan(gone.map).all()


@pytest.mark.parametrize(
    ("top", "left", "height", "width"), [(0, 0, 60, 80), (60, 80, 60, 80), (30, 0, 60, 160)]
)
def test_content_of_a_crop_is_its_area(
    photo: np.ndarray, top: int, left: int, height: int, width: int
) -> None:
    view = View.original(photo).cropped(top, left, height, width, {"edit": "crop"})
    assert view.content == pytest.approx(height * width / (120 * 160), abs=0.01)
    assert view.cover == 1.0
    assert view.map[0, 0].tolist() == [left, top]


def test_fidelity_falls_with_blur_and_not_with_geometry(photo: np.ndarray) -> None:
    view, rng = View.original(photo), np.random.default_rng(0)
    for edit in (Flip(), RotateRight(), Crop(area=(0.5, 0.5))):
        assert edit(view, rng).fidelity > 0.97
    blurred = [
        GaussianBlur(sigma=(sigma, sigma))(view, rng).fidelity for sigma in (0.5, 1.5, 4.0, 10.0)
    ]
    assert blurred == sorted(blurred, reverse=True)
    assert blurred[0] > 0.9
    assert blurred[-1] < 0.5
    noisy = [Noise(sigma=(sigma, sigma))(view, rng).fidelity for sigma in (5, 40, 120)]
    assert noisy == sorted(noisy, reverse=True)
    assert Levels("invert")(view, rng).fidelity == pytest.approx(1.0, abs=0.02)


def test_structure_by_hand() -> None:
    first = np.tile(np.array([[0, 200], [200, 0]], np.float32), (10, 10))
    assert np.allclose(structure(first, first), 1.0)
    assert np.allclose(structure(first, 255 - first), 1.0)  # a negative shows as much
    flat = np.full_like(first, 100.0)
    spread = float(np.var(first))
    assert structure(first, flat)[5, 5] == pytest.approx(58.5 / (spread + 58.5), rel=0.05)


def test_a_change_of_resolution_is_no_edit(photo: np.ndarray) -> None:
    view = View.original(photo)
    assert view.resized(120, 160) is view
    half = view.resized(60, 80)
    assert (half.log, half.size, half.source_size) == ((), (60, 80), (120, 160))
    assert (half.content, half.cover, half.fidelity) == (1.0, 1.0, 1.0)
    logged = view.resized(60, 80, {"edit": "resize"})
    assert logged.log == ({"edit": "resize"},)
    assert logged.fidelity == pytest.approx(1.0, abs=0.03)


def test_the_amount_is_content_by_fidelity_by_the_root_of_the_cover(photo: np.ndarray) -> None:
    view = View.original(photo).cropped(0, 0, 60, 80, {"edit": "crop"})
    hidden = np.zeros((60, 80), bool)
    hidden[:, :40] = True
    view = view.replaced(view.image, {"edit": "hide"}, trace=view.trace.hide(hidden))
    assert view.cover == 0.5
    assert view.content == pytest.approx(1 / 8, abs=0.01)
    assert view.amount == pytest.approx(view.content * view.fidelity * 0.5**0.5)
    assert [entry["edit"] for entry in view.describe()["edits"]] == ["crop", "hide"]
