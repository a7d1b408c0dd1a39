"""Saved embedders as plain arrays: weights, recipe and preprocessing, read without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors import safe_open

from asl.models.model_card import REMEDY, read_metadata
from asl.models.recipe import Preprocessing, Recipe, non_default
from asl.models.shipped import PACKAGED, shipped_model
from asl.storage import read_errors
from asl.types import AslError, UsageError

if TYPE_CHECKING:
    from asl.models.embedder import Embedder

Arrays = Mapping[str, npt.NDArray[Any]]
LITE0 = "lite0"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True, eq=False)
class SavedModel:
    """Content of a saved embedder.

    Attributes:
        path: of the file.
        recipe: its architecture.
        preprocessing: of its input.
        stored: name -> weights as they are in the file, which may be float16.
        dim: D; 0 where an old file does not say.
    """

    path: Path
    recipe: Recipe
    preprocessing: Preprocessing
    stored: Arrays = field(repr=False)
    dim: int

    @property
    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """Weights as the network takes them: floating-point numbers as float32."""
        return {
            name: value if value.dtype.kind in "iub" else value.astype(np.float32)
            for name, value in self.stored.items()
        }

    @cached_property
    def hash(self) -> str:
        """Hash of weights, recipe and preprocessing; see :func:`model_hash`."""
        return _hashed(self.recipe, self.preprocessing, self.weights)


def model_path(name: str | Path) -> Path:
    """Find the file of a model.

    Raises:
        UsageError: no such file.
    """
    path = shipped_model(str(name)) if name in PACKAGED else Path(name)
    path = path / WEIGHTS if path.is_dir() else path
    if not path.is_file():
        raise UsageError(
            f"model: expected {', '.join(PACKAGED)}, {LITE0} or the path of a saved model, got "
            f"{path}; train one with `python -m asl.train`"
        )
    return path


def read_model(path: Path, *, size: int | None = None) -> SavedModel:
    """Read a saved embedder and compare it with its checksum (0.1.0 wrote none).

    Args:
        path: of the file.
        size: pixels of the square side instead of the model's own; part of the hash.

    Raises:
        AslError: the file is no saved embedder, or is damaged.
    """
    metadata = read_metadata(path)
    with read_errors(path, REMEDY):
        stored = _read_arrays(path)
        if metadata.get("sha256", "") not in ("", content_checksum(stored, metadata)):
            raise ValueError("its checksum differs")
    try:
        recipe = Recipe(**json.loads(metadata["recipe"]))
        raw = json.loads(metadata["preprocessing"])
        plan = Preprocessing(**{**raw, "mean": tuple(raw["mean"]), "std": tuple(raw["std"])})
        dim = int(metadata.get("dim", 0)) or dimensions(recipe, stored)
    except (KeyError, TypeError, ValueError) as error:
        raise misfit(path, error) from error
    return SavedModel(path, recipe, plan if size is None else replace(plan, size=size), stored, dim)


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    with safe_open(path, framework="np") as file:
        names = sorted(file.keys())
        if any(file.get_slice(name).get_dtype() == "BF16" for name in names):
            import ml_dtypes  # noqa: F401  # by which NumPy knows bfloat16
        return {name: file.get_tensor(name) for name in names}


def misfit(path: Path, error: Exception) -> AslError:
    """Return the error for weights that do not fit their recipe."""
    return AslError(
        f"{path}: its weights do not fit the recipe in its metadata ({str(error)[:200]}); {REMEDY}"
    )


def dimensions(recipe: Recipe, stored: Arrays) -> int:
    """Return D of a file that does not state it; 0 where its recipe does not say it either."""
    if recipe.neck in ("linear_bn", "linear", "projector", "sqrt_linear"):
        return recipe.dim
    # The other necks keep the width of the backbone, which a norm head has as its input.
    width = stored.get("neck.head.0.weight", stored.get("neck.norm.weight"))
    return 0 if width is None else len(width)


def content_checksum(stored: Arrays, metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 of weights as they are stored, and of metadata but its own checksum."""
    digest = hashlib.sha256()
    for name, value in sorted(stored.items()):
        digest.update(f"{name} torch.{value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    facts = {name: text for name, text in metadata.items() if name != "sha256"}
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()


def model_hash(model: SavedModel | Embedder) -> str:
    """Hash weights, recipe and preprocessing: 16 hex digits, equal for equal models."""
    if isinstance(model, SavedModel):
        return model.hash
    return _hashed(model.recipe, model.preprocessing, network_weights(model))


def network_weights(embedder: Embedder) -> dict[str, npt.NDArray[Any]]:
    """Return the weights of an embedder as arrays: name -> weights.

    Those in bfloat16, which NumPy does not have, are float32: the same numbers.
    """
    weights = embedder.state_dict().items()
    return {
        name: (value.float() if str(value.dtype) == "torch.bfloat16" else value)
        .detach()
        .cpu()
        .contiguous()
        .numpy()
        for name, value in weights
    }


def _hashed(recipe: Recipe, preprocessing: Preprocessing, weights: Arrays) -> str:
    digest = hashlib.sha256()
    plans = [non_default(recipe), non_default(preprocessing)]
    digest.update(json.dumps(plans, sort_keys=True).encode())
    for name, value in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:16]
