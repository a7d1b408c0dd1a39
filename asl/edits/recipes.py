"""Recipes by name: ``conf/edits/<name>.yaml``, each a tree of edits with their parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asl.console.configuration import check_targets, config_dir
from asl.edits.engine.edit_base import Edit
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

    path = (
        Path(name)
        if str(name).endswith((".yaml", ".yml"))
        else config_dir() / "edits" / f"{name}.yaml"
    )
    if not path.is_file():
        raise UsageError(
            f"recipe: there is no {str(name)!r}; known are {', '.join(recipe_names())}"
        )
    tree = _tree(path)
    check_targets(tree)
    recipe = instantiate(tree, _convert_="all")
    if not isinstance(recipe, Edit):
        raise UsageError(f"{path}: is no recipe of edits")
    return recipe


def _tree(path: Path, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """A recipe as plain mappings; what its ``defaults`` name comes first and is changed by it."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        own = OmegaConf.to_container(OmegaConf.load(path))
    except (OSError, YAMLError, OmegaConfBaseException) as error:
        raise UsageError(f"{path}: is no readable recipe ({error})") from error
    if not isinstance(own, dict):
        raise UsageError(f"{path}: expected a mapping with `_target_`, got {type(own).__name__}")
    bases = [str(base) for base in own.pop("defaults", []) if base != "_self_"]
    if path.stem in above:
        raise UsageError(f"{path}: builds on itself through {' -> '.join(above)}")
    parts = [_tree(_base(path, base), (*above, path.stem)) for base in bases]
    merged: Any = OmegaConf.to_container(OmegaConf.merge(*parts, own))
    return dict(merged)


def _base(path: Path, name: str) -> Path:
    """A recipe that another builds on: beside it, else one of the package."""
    beside = path.with_name(f"{name}.yaml")
    return beside if beside.is_file() else config_dir() / "edits" / f"{name}.yaml"
