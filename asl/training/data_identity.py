"""Identity of the training data: the images themselves, wherever their folder is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from asl.data.catalog import Catalog
from asl.data.training_set import HardPairs
from asl.storage import read_json, write_json
from asl.types import AslError, UsageError

FILE = "images.json"
_READ_IMAGES = 256  # evenly spaced images whose bytes are part of the identity


def identify(images: Catalog, hard_pairs: HardPairs | None) -> dict[str, Any]:
    """Summarise training images: ids of all, bytes of 256 evenly spaced ones, hard pairs.

    Paths and times are no part of it: a copy of the folder in another place is the same data.

    Args:
        images: the training catalog.
        hard_pairs: pairs of its rows.

    Returns:
        ``images`` and ``hard_pairs`` (counts) and ``digest`` (SHA-256, hexadecimal).
    """
    digest = hashlib.sha256()
    for name in images.ids.tolist():
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
    count = min(len(images), _READ_IMAGES)
    for row in np.linspace(0, len(images) - 1, count).round().astype(int).tolist():
        digest.update(_content(images, row))
    if hard_pairs is not None:
        digest.update(np.ascontiguousarray(hard_pairs.rows).tobytes())
        digest.update(np.ascontiguousarray(hard_pairs.directed).tobytes())
    pairs = len(hard_pairs) if hard_pairs is not None else 0
    return {"images": len(images), "hard_pairs": pairs, "digest": digest.hexdigest()}


def _content(images: Catalog, row: int) -> bytes:
    try:
        return hashlib.sha256(images.read(row)).digest()
    except (OSError, AslError):
        return b"unreadable"


def check_identity(folder: Path, identity: Mapping[str, Any]) -> None:
    """Compare the training images with those of the checkpoints in a folder.

    Args:
        folder: of the checkpoints.
        identity: of :func:`identify`.

    Raises:
        UsageError: they are other images.
    """
    path = folder / FILE
    if not path.is_file():
        return
    before = read_json(path, remedy="delete it, or choose another output")
    if before.get("digest") == identity["digest"]:
        return
    counts = (
        f"{before.get('images')} before, {identity['images']} now; hard pairs "
        f"{before.get('hard_pairs')} before, {identity['hard_pairs']} now"
    )
    raise UsageError(
        f"{folder}: the training images are not those of the checkpoint ({counts}); name the same "
        "images, choose another output, or start afresh with resume=false"
    )


def write_identity(folder: Path, identity: Mapping[str, Any]) -> None:
    """Write the identity beside the checkpoints."""
    write_json(folder / FILE, dict(identity))
