"""Save embedders as safetensors with recipe, preprocessing and card as metadata, and load them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save

from asl.models.assemble import assemble, create_backbone
from asl.models.efficientnet_lite import load_lite_weights
from asl.models.embedder import Embedder
from asl.models.model_card import FORMAT
from asl.models.public_weights import SUFFIXES, load_public
from asl.models.recipe import Preprocessing, Recipe
from asl.models.saved_model import (
    LITE0,
    SavedModel,
    content_checksum,
    misfit,
    model_path,
    network_weights,
    read_model,
)
from asl.storage import write_bytes


def save_embedder(
    embedder: Embedder, path: str | Path, *, card: Mapping[str, Any], half: bool = False
) -> None:
    """Write an embedder atomically.

    Args:
        embedder: to save.
        path: ``.safetensors``.
        card: data, recipe and numbers for users; JSON-ready.
        half: store float16, half the size.
    """
    weights = {
        name: value.astype(np.float16) if half and value.dtype.kind == "f" else value
        for name, value in network_weights(embedder).items()
    }
    metadata = {
        "format": FORMAT,
        "recipe": json.dumps(asdict(embedder.recipe)),
        "preprocessing": json.dumps(asdict(embedder.preprocessing)),
        "dim": str(embedder.dim),
        "card": json.dumps(dict(card), default=str),
    }
    metadata["sha256"] = content_checksum(weights, metadata)
    write_bytes(path, save(weights, metadata=metadata))


def load_embedder(name: str | Path, *, size: int | None = None, device: str = "cpu") -> Embedder:
    """Load a model.

    Args:
        name: ``asl_lite0`` or ``asl_lite1`` (come with the package), ``lite0``
            (EfficientNet-Lite0 as trained on ImageNet, GeM, no neck), the path of a saved embedder
            (``model.safetensors``, or the folder of a training), or published weights
            (:mod:`asl.models.public_weights`).
        size: pixels of the square side instead of the model's own (multi-scale extraction); part
            of the hash.
        device: torch device.

    Returns:
        The embedder in evaluation mode.

    Raises:
        UsageError: no such model.
        AslError: the file is no saved embedder, or its weights do not fit its recipe.
    """
    if name == LITE0:
        embedder = _lite0()
    else:
        path = model_path(name)
        embedder = load_public(path) if path.suffix in SUFFIXES else restore(read_model(path))
    if size is not None:
        embedder.preprocessing = replace(embedder.preprocessing, size=size)
    return embedder.to(device).eval()


def restore(model: SavedModel) -> Embedder:
    """Build the network of a saved model, in evaluation mode.

    Raises:
        AslError: its weights do not fit its recipe.
    """
    try:
        embedder = assemble(create_backbone(model.recipe), model.recipe, model.preprocessing)
        weights = {name: torch.from_numpy(value) for name, value in model.weights.items()}
        embedder.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise misfit(model.path, error) from error
    return embedder.eval()


def _lite0() -> Embedder:
    recipe = Recipe(backbone="tf_efficientnet_lite0", neck="none")
    network = create_backbone(recipe)
    load_lite_weights(network, recipe.backbone)
    half = (0.5, 0.5, 0.5)
    return assemble(network, recipe, Preprocessing(size=224, mean=half, std=half))
