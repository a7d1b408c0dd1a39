"""Load recipes by name: ``conf/edits/<name>.yaml``, trees of edits with their parameters."""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path
from typing import Any

from asl.console.bounded_yaml import check_yaml
from asl.console.configuration import config_dir
from asl.console.targets import Slot, build
from asl.edits.engine.edit_base import Edit
from asl.types import UsageError

EDITS = Slot(
    "edits",
    "an edit (asl.edits.Edit)",
    packages=("asl.edits",),
    bases=(Edit,),
    functions=frozenset({"asl.edits.recipes.load_recipe"}),
)
# Recipes that are being built, outermost first: one that names itself would never end.
_BUILDING: ContextVar[tuple[Path, ...]] = ContextVar("recipes", default=())


def recipe_names() -> list[str]:
    """List the names of the packaged recipes."""
    return sorted(path.stem for path in (config_dir() / "edits").glob("*.yaml"))


def load_recipe(name: str | Path) -> Edit:
    """Build a recipe by its name, or from a YAML file.

    Raises:
        UsageError: there is none of that name (the known ones are listed), or the file is no
            recipe: it names other things than edits, or edits with other arguments.
    """
    path = (
        Path(name)
        if str(name).endswith((".yaml", ".yml"))
        else config_dir() / "edits" / f"{name}.yaml"
    )
    if not path.is_file():
        raise UsageError(
            f"name: there is no recipe {str(name)!r}; use the path of a YAML file or one of "
            f"{', '.join(recipe_names())}"
        )
    above = _BUILDING.get()
    if path.resolve() in above:
        raise UsageError(f"{path}: builds on itself")
    token = _BUILDING.set((*above, path.resolve()))
    try:
        recipe: Edit = build(_tree(path), EDITS)
    except UsageError as error:
        raise UsageError(f"{path}: {error}" if str(path) not in str(error) else error) from error
    finally:
        _BUILDING.reset(token)
    return recipe


def _tree(path: Path, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a recipe as plain mappings, merged over those that its ``defaults`` name."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    check_yaml(path)
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
