"""Metadata of a saved embedder: format, recipe, preprocessing and card, read without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from asl.storage import read_errors
from asl.types import AslError

FORMAT = "asl-embedder-1"
REMEDY = "save or download it again"


def read_metadata(path: Path) -> dict[str, str]:
    """Read format, recipe, preprocessing and card of a saved embedder, without its weights.

    Raises:
        AslError: the file is no saved embedder.
    """
    try:
        with safe_open(path, framework="np") as file:
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise AslError(
            f"{path}: is no safetensors file ({str(error)[:200]}); only safetensors files are "
            "loaded, export the model again"
        ) from error
    if metadata.get("format") != FORMAT:
        raise AslError(
            f"{path}: holds weights of something else: expected format {FORMAT!r}, got "
            f"{metadata.get('format')!r}; choose a model.safetensors of asl.train"
        )
    return metadata


def read_card(path: str | Path) -> dict[str, Any]:
    """Read the card of a saved embedder."""
    with read_errors(path, REMEDY):
        card: dict[str, Any] = json.loads(read_metadata(Path(path))["card"])
        if not isinstance(card, dict):
            raise ValueError("its card is no JSON object")
        return card
