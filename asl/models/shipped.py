"""The model that is shipped with the package: its name and the path of its weights."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from asl.shared_defaults import MODEL
from asl.types import UsageError

SHIPPED = MODEL


def shipped_model() -> Path:
    """Return the path of the weights that come with the package.

    Raises:
        UsageError: this installation has none.
    """
    path = Path(str(resources.files("asl.models").joinpath(f"{SHIPPED}.safetensors")))
    if not path.is_file():
        raise UsageError(
            f"model: this installation has no {SHIPPED}; use model=lite0 or a trained "
            "model.safetensors"
        )
    return path
