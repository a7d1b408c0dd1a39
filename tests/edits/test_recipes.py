from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from asl.console.configuration import config_dir
from asl.console.targets import build
from asl.edits import Sequence, View, make_views
from asl.edits.engine.foreign_images import Pool
from asl.edits.recipes import EDITS, load_recipe, recipe_names
from asl.types import AslError, UsageError

load = cache(load_recipe)


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_makes_views(name: str, photo: np.ndarray, pool: Pool) -> None:
    recipe = load(name)
    for number in range(4):
        original, view = make_views(
            photo, recipe, key=str(number), seed=0, views=2, size=48, pool=pool
        )
        assert view.image.shape == (48, 48, 3)
        assert 0 <= view.content <= 1
        assert view.amount <= original.amount == 1.0


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_survives_strange_sizes(name: str) -> None:
    recipe = load(name)
    for shape in [(2, 2), (3, 400), (17, 5)]:
        image = np.random.default_rng(0).integers(0, 256, size=(*shape, 3), dtype=np.uint8)
        for view in make_views(image, recipe, key="a", seed=0, views=4, size=32):
            assert view.image.shape == (32, 32, 3)


def test_a_recipe_can_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("_target_: asl.edits.geometric.Crop\narea: [0.25, 0.25]\n")
    view = load_recipe(path)
    assert view.area == [0.25, 0.25]


def test_an_unknown_recipe_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"^name: there is no recipe 'disc-like'; use .*disc_like"):
        load_recipe("disc-like")


def test_foreign_classes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("_target_: os.system\ncommand: true\n")
    with pytest.raises(AslError, match="not allowed"):
        load_recipe(path)


def test_a_recipe_may_change_single_steps_of_another() -> None:
    base, variant = load_recipe("d2lv_basic"), load_recipe("d2lv_blur")
    assert isinstance(base, Sequence)
    assert isinstance(variant, Sequence)
    assert isinstance(base.edits, dict)
    assert isinstance(variant.edits, dict)
    assert (base.edits["blur"].p, variant.edits["blur"].p) == (1.0, 0.3)
    assert variant.edits["blur"].edit.sigma == [2.0, 7.8]
    assert list(base.edits) == list(variant.edits)
    others = [name for name in base.edits if name != "blur"]
    assert all(repr(base.edits[name]) == repr(variant.edits[name]) for name in others)


def test_strengths_of_the_published_series_rise() -> None:
    shares = [
        load_recipe(f"lyakaap_v{number}").edits["shuffled"].edits["text"].p
        for number in (83, 86, 98)
    ]
    assert shares == [0.25, 0.3, 0.35]


@pytest.mark.parametrize("name", recipe_names())
def test_training_composes_the_same_recipe(name: str) -> None:
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(config_dir())):
        tree = compose(f"edits/{name}")
    recipe = build(OmegaConf.to_container(tree.edits), EDITS)
    assert repr(recipe) == repr(load(name))
    view = recipe(View.original(np.zeros((32, 32, 3), np.uint8)), np.random.default_rng(0))
    assert view.image.dtype == np.uint8


def test_a_recipe_that_builds_on_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("defaults: [b]\nedits: {}\n")
    (tmp_path / "b.yaml").write_text("defaults: [a]\nedits: {}\n")
    with pytest.raises(UsageError, match=r"defaults form a circle \(a -> b"):
        load_recipe(tmp_path / "a.yaml")


def test_a_recipe_of_one_s_own_builds_on_one_of_the_package_or_on_one_beside_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine.yaml").write_text("defaults: [d2lv_basic, _self_]\nedits:\n  onto: null\n")
    fewer = load_recipe(tmp_path / "mine.yaml")
    assert len(fewer._steps) == len(load_recipe("d2lv_basic")._steps) - 1
    (tmp_path / "d2lv_basic.yaml").write_text(
        "_target_: asl.edits.Sequence\n_convert_: all\nedits:\n  onto: null\n"
        "  only: {_target_: asl.edits.geometric.Flip}\n"
    )
    assert len(load_recipe(tmp_path / "mine.yaml")._steps) == 1, "the one beside it comes first"
