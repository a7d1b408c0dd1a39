"""Saved embedders: safetensors weights with recipe, preprocessing and card as metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from asl.models.assemble import assemble, create_backbone
from asl.models.efficientnet_lite import load_lite_weights
from asl.models.embedder import Embedder, Preprocessing, Recipe
from asl.models.model_card import FORMAT, read_metadata
from asl.models.public_weights import SUFFIXES, load_public
from asl.models.shipped import SHIPPED, shipped_model
from asl.storage import read_errors, write_bytes
from asl.types import AslError, UsageError

_REMEDY = "save or download it again"


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
    tensors = {
        name: (value.half() if half and value.is_floating_point() else value)
        .detach()
        .cpu()
        .contiguous()
        for name, value in embedder.state_dict().items()
    }
    metadata = {
        "format": FORMAT,
        "recipe": json.dumps(asdict(embedder.recipe)),
        "preprocessing": json.dumps(asdict(embedder.preprocessing)),
        "card": json.dumps(dict(card), default=str),
    }
    metadata["sha256"] = _checksum(tensors, metadata)
    write_bytes(path, save(tensors, metadata=metadata))


def _checksum(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 of tensors as they are stored, and of metadata but its own checksum."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    facts = {name: text for name, text in metadata.items() if name != "sha256"}
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()


def load_embedder(name: str | Path, *, size: int | None = None, device: str = "cpu") -> Embedder:
    """Load a model.

    Args:
        name: ``asl_lite0`` (comes with the package), ``lite0`` (EfficientNet-Lite0 as trained on
            ImageNet, GeM, no neck), the path of a saved embedder (``model.safetensors``, or the
            folder of a training), or published weights (:mod:`asl.models.public_weights`).
        size: pixels of the square side instead of the model's own (multi-scale extraction); part
            of the hash.
        device: torch device.

    Returns:
        The embedder in evaluation mode.

    Raises:
        UsageError: no such model.
        AslError: the file is no saved embedder, or its weights do not fit its recipe.
    """
    if name == "lite0":
        embedder = _lite0()
    else:
        embedder = _read_embedder(shipped_model() if name == SHIPPED else Path(name))
    if size is not None:
        embedder.preprocessing = replace(embedder.preprocessing, size=size)
    return embedder.to(device).eval()


def _lite0() -> Embedder:
    recipe = Recipe(backbone="tf_efficientnet_lite0", neck="none")
    network = create_backbone(recipe)
    load_lite_weights(network, recipe.backbone)
    half = (0.5, 0.5, 0.5)
    return assemble(network, recipe, Preprocessing(size=224, mean=half, std=half))


def _read_embedder(path: Path) -> Embedder:
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        raise UsageError(
            f"model: expected {SHIPPED}, lite0 or the path of a saved model, got {path}; "
            "train one with `python -m asl.train`"
        )
    if path.suffix in SUFFIXES:
        return load_public(path)
    tensors, metadata = _read_checked(path)
    try:
        recipe = Recipe(**json.loads(metadata["recipe"]))
        raw = json.loads(metadata["preprocessing"])
        preprocessing = Preprocessing(
            **{**raw, "mean": tuple(raw["mean"]), "std": tuple(raw["std"])}
        )
        embedder = assemble(create_backbone(recipe), recipe, preprocessing)
        embedder.load_state_dict({name: _full(value) for name, value in tensors.items()})
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise AslError(
            f"{path}: its weights do not fit the recipe in its metadata ({str(error)[:200]}); "
            f"{_REMEDY}"
        ) from error
    return embedder


def _read_checked(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read tensors and metadata, and compare them with their checksum (0.1.0 wrote none)."""
    metadata = read_metadata(path)
    with read_errors(path, _REMEDY):
        tensors = load_file(path)
        if metadata.get("sha256", "") not in ("", _checksum(tensors, metadata)):
            raise ValueError("its checksum differs")
    return tensors, metadata


def _full(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.is_floating_point() else value


def _non_default(plan: Recipe | Preprocessing) -> dict[str, Any]:
    """Return the fields that differ from their defaults.

    A field that a later version adds does not change the hash of older models.
    """
    defaults = {field.name: field.default for field in fields(plan)}
    # A tuple and the list that a file returns are the same choice.
    chosen = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(plan).items()
    }
    plain = {
        name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()
    }
    return {
        name: value
        for name, value in chosen.items()
        if value != plain[name] and value not in ({}, [])
    }


def model_hash(embedder: Embedder) -> str:
    """Hash weights, recipe and preprocessing: 16 hex digits, equal for equal models."""
    digest = hashlib.sha256()
    digest.update(
        json.dumps(
            [_non_default(embedder.recipe), _non_default(embedder.preprocessing)], sort_keys=True
        ).encode()
    )
    for name, value in sorted(embedder.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
