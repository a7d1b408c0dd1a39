"""Load recipes by name: ``conf/edits/<name>.yaml``, trees of edits with their parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asl.console.configuration import check_targets, config_dir
from asl.edits.engine.edit_base import Edit
from asl.types import UsageError


def recipe_names() -> list[str]:
    """List the names of the packaged recipes."""
    return sorted(path.stem for path in (config_dir() / "edits").glob("*.yaml"))


def load_recipe(name: str | Path) -> Edit:
    """Build a recipe by its name, or from a YAML file.

    Args:
        name: of a packaged recipe, or the path of a ``.yaml`` file.

    Raises:
        UsageError: no such recipe (the known ones are listed), or the file is no recipe of edits.
    """
    from hydra.utils import instantiate

    path = (
        Path(name)
        if str(name).endswith((".yaml", ".yml"))
        else config_dir() / "edits" / f"{name}.yaml"
    )
    if not path.is_file():
        raise UsageError(
            f"recipe: {str(name)!r} does not exist; use the path of a YAML file or one of "
            f"{', '.join(recipe_names())}"
        )
    tree = _tree(path)
    check_targets(tree)
    recipe = instantiate(tree, _convert_="all")
    if not isinstance(recipe, Edit):
        raise UsageError(
            f"{path}: expected `_target_` to name an edit, got {type(recipe).__name__}; "
            "see docs/edits.md"
        )
    return recipe


def _tree(path: Path, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a recipe as plain mappings, merged over the recipes that its ``defaults`` name."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        own = OmegaConf.to_container(OmegaConf.load(path))
    except (OSError, YAMLError, OmegaConfBaseException) as error:
        raise UsageError(f"{path}: cannot be read as a recipe ({error}); check the YAML") from error
    if not isinstance(own, dict):
        raise UsageError(f"{path}: expected a mapping with `_target_`, got {type(own).__name__}")
    bases = [str(base) for base in own.pop("defaults", []) if base != "_self_"]
    if path.stem in above:
        raise UsageError(
            f"{path}: its defaults form a circle ({' -> '.join(above)}); remove one of them"
        )
    parts = [_tree(_base(path, base), (*above, path.stem)) for base in bases]
    merged: Any = OmegaConf.to_container(OmegaConf.merge(*parts, own))
    return dict(merged)


def _base(path: Path, name: str) -> Path:
    """Find a base recipe: in the same folder, else among the packaged ones."""
    neighbour = path.with_name(f"{name}.yaml")
    return neighbour if neighbour.is_file() else config_dir() / "edits" / f"{name}.yaml"
