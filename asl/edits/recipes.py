"""Recipes by name: ``conf/edits/<name>.yaml``, each a tree of edits with their parameters."""

from __future__ import annotations

from pathlib import Path

from asl.config import check_targets, config_dir
from asl.edits.edit import Edit
from asl.types import UsageError


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.stem for path in (config_dir() / "edits").glob("*.yaml"))


def load_recipe(name: str | Path) -> Edit:
    """Build a recipe by its name, or from a YAML file.

    Raises:
        UsageError: there is none of that name; the known ones are listed.
    """
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    path = Path(name) if str(name).endswith((".yaml", ".yml")) else config_dir() / "edits" / f"{name}.yaml"
    if not path.is_file():
        raise UsageError(f"recipe: there is no {str(name)!r}; known are {', '.join(recipe_names())}")
    tree = OmegaConf.load(path)
    check_targets(OmegaConf.to_container(tree))
    recipe = instantiate(tree, _convert_="all")
    if not isinstance(recipe, Edit):
        raise UsageError(f"{path}: is no recipe of edits")
    return recipe
