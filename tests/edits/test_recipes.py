from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.edits import make_views
from asl.edits.pool import Pool
from asl.edits.recipes import load_recipe, recipe_names
from asl.types import AslError, UsageError


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_makes_views(name: str, photo: np.ndarray, pool: Pool) -> None:
    recipe = load_recipe(name)
    for number in range(6):
        original, view = make_views(photo, recipe, key=str(number), seed=0, views=2, size=48, pool=pool)
        assert view.image.shape == (48, 48, 3)
        assert 0 <= view.content <= 1
        assert view.amount <= original.amount == 1.0


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("shape", [(2, 2), (3, 400), (17, 5)])
def test_a_recipe_survives_strange_sizes(name: str, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, size=(*shape, 3), dtype=np.uint8)
    recipe = load_recipe(name)
    for number in range(8):
        view = make_views(image, recipe, key=str(number), seed=0, views=2, size=32)[1]
        assert view.image.shape == (32, 32, 3)


def test_a_recipe_can_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("_target_: asl.edits.geometric.Crop\narea: [0.25, 0.25]\n")
    view = load_recipe(path)
    assert view.area == [0.25, 0.25]


def test_an_unknown_recipe_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no 'disc-like'; known are .*disc_like"):
        load_recipe("disc-like")


def test_foreign_classes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("_target_: os.system\ncommand: true\n")
    with pytest.raises(AslError, match="not allowed"):
        load_recipe(path)
