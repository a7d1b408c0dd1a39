"""Drawn pictures: the same for a seed, one template's pictures alike, none a copy of another."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
draw_material = pytest.importorskip("draw_material", reason="scripts/ is not beside the tests")
pytest.importorskip("matplotlib", reason="the fonts are Matplotlib's")


def draw(kind: str, template: int, number: int, **changed: object) -> np.ndarray:
    keys = {"fonts": "serif", "seed": 0} | changed
    return np.asarray(draw_material.draw_picture(kind, template, number, **keys))


def same_share(first: np.ndarray, second: np.ndarray) -> float:
    if first.shape != second.shape:
        return 0.0
    return float((first == second).all(axis=2).mean())


@pytest.mark.parametrize("kind", draw_material.KINDS)
def test_a_picture_depends_on_its_template_its_number_and_the_seed(kind: str) -> None:
    picture = draw(kind, 0, 0)
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    np.testing.assert_array_equal(picture, draw(kind, 0, 0))
    others = [draw(kind, 0, 1), draw(kind, 1, 0), draw(kind, 0, 0, seed=1)]
    assert max(same_share(picture, other) for other in others) < 1


def test_the_fonts_of_the_fit_are_not_those_of_the_benchmark() -> None:
    assert not set(draw_material.FONTS["sans"]) & set(draw_material.FONTS["serif"])
    assert same_share(draw("page", 0, 0), draw("page", 0, 0, fonts="sans")) < 1


@pytest.mark.parametrize("kind", ["page", "slide", "chat", "interface", "chart"])
def test_pictures_of_one_template_are_more_alike_than_of_two(kind: str) -> None:
    within = np.mean([same_share(draw(kind, n, 0), draw(kind, n, 1)) for n in range(4)])
    between = np.mean([same_share(draw(kind, n, 0), draw(kind, n + 1, 0)) for n in range(4)])
    assert within > between


def test_a_folder_holds_every_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draw_material.main([str(tmp_path / "out"), "--templates", "1", "--number", "2"]) == 0
    names = {path.stem for path in (tmp_path / "out").iterdir()}
    assert names == {f"{kind}-00-0{n}" for kind in draw_material.KINDS for n in (0, 1)}
    assert draw_material.main([str(tmp_path / "out")]) == 1
    assert "exists already" in capsys.readouterr().err
