"""The models that come with the package: their names and the paths of their weights."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from asl.shared_defaults import MODEL, MODELS
from asl.types import UsageError

SHIPPED = MODEL  # the default of every verb
PACKAGED = MODELS


def shipped_model(name: str = SHIPPED) -> Path:
    """Return the path of weights that come with the package.

    Args:
        name: one of :data:`PACKAGED`.

    Raises:
        UsageError: this installation has none.
    """
    path = Path(str(resources.files("asl.models").joinpath(f"{name}.safetensors")))
    if not path.is_file():
        raise UsageError(
            f"model: this installation has no {name}; use model=lite0 or a trained "
            "model.safetensors"
        )
    return path
