"""Names of the packaged models, found by the hash that stores, libraries and indexes record."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import as_file, files

from asl.shared_defaults import MODELS


@cache
def packaged_hashes() -> dict[str, str]:
    """Read the hash of every packaged model from its card: name -> 16 hex digits.

    Only the heads of the files are read. A model that this installation lacks is left out.
    """
    from safetensors import SafetensorError, safe_open

    hashes = {}
    for name in MODELS:
        try:
            with (
                as_file(files("asl").joinpath("models", f"{name}.safetensors")) as path,
                safe_open(path, framework="np") as file,
            ):
                card = json.loads((file.metadata() or {})["card"])
            hashes[name] = str(card["calibration"]["model"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError):
            continue  # opening that model says why
    return hashes


def packaged_name(model: str) -> str:
    """Return the name of the packaged model of a hash; empty where no packaged one has it."""
    return next((name for name, known in packaged_hashes().items() if known == model), "")


def with_name(model: str) -> str:
    """Return a hash with the name of its packaged model, where it has one."""
    name = packaged_name(model)
    return f"{model} ({name})" if name else model


def model_text(model: str) -> str:
    """Name a model in a message, by its hash; hashes joined by + are those of an ensemble.

    >>> model_text("0123456789abcdef")
    'a model that is not packaged (0123456789abcdef)'
    """
    names = [packaged_name(part) for part in model.split("+")]
    return "+".join(names) if all(names) else f"a model that is not packaged ({model or 'unknown'})"


def how_to_use(model: str) -> str:
    """Say how to ask for the model of a hash: ``give model=NAME``, or its file."""
    name = model_text(model) if all(map(packaged_name, model.split("+"))) else ""
    return f"give model={name}" if name else "give the file of that model as model="


def other_model(stored: str, asked: str, *, otherwise: str) -> str:
    """Say that a file was made with another model than the one asked for, and what to do.

    Args:
        stored: hash that the file records.
        asked: hash of the model asked for.
        otherwise: what else helps, in the imperative.

    >>> other_model("00", "11", otherwise="extract again").split("; ")[1]
    'give the file of that model as model=, or extract again'
    """
    return (
        f"was made with {model_text(stored)}, not with {model_text(asked)}; "
        f"{how_to_use(stored)}, or {otherwise}"
    )
