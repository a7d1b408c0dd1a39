"""Open a model by its name or path, without torch where it can be read without it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from asl.models.saved_model import LITE0, SavedModel, model_path, read_model

if TYPE_CHECKING:
    from asl.models.embedder import Embedder

# A name or path, or a model that is opened already.
ModelInput: TypeAlias = "str | Path | SavedModel | Embedder"


def open_model(name: str | Path, *, size: int | None = None) -> SavedModel | Embedder:
    """Open a model for embedding; torch is loaded only for what cannot be read without it.

    Args:
        name: as for :func:`asl.models.io.load_embedder`.
        size: pixels of the square side instead of the model's own.

    Returns:
        A saved model, or the embedder of weights that others published.

    Raises:
        UsageError: no such model.
        AslError: the file is no saved embedder.
    """
    if name != LITE0 and (path := model_path(name)).suffix == ".safetensors":
        model = read_model(path, size=size)
        if model.dim:
            return model
    from asl.models.io import load_embedder

    return load_embedder(name, size=size)
