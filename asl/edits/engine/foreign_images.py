"""Pool of foreign images for overlays: drawn from the training set, never from references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from asl.edits.engine.edit_base import Rng
from asl.edits.engine.view import Pixels
from asl.types import AslError

_MAX_TRIES = 8  # unreadable images that are skipped in one draw


class Pool:
    """Images by random draw: arrays, or a catalog that is read and decoded on demand."""

    def __init__(self, images: Sequence[Pixels] | Any, *, decode: Any = None) -> None:
        """Set the source of images.

        Args:
            images: uint8 ``[H, W, 3]`` arrays, or a catalog (``__len__`` and ``read(row) ->
                bytes``).
            decode: bytes -> pixels, needed with a catalog.

        Raises:
            AslError: empty, or a catalog without a decoder.
        """
        if not len(images):
            raise AslError("pool: empty; overlays need at least one other image")
        if hasattr(images, "read") and decode is None:
            raise AslError(
                "pool: a catalog was given without decode=; pass asl.data.images.decode_image"
            )
        self._images: Any = images
        self._decode = decode

    def __len__(self) -> int:
        return len(self._images)

    def draw(self, rng: Rng) -> Pixels:
        """Draw one image, uint8 ``[H, W, 3]``; noise after eight unreadable ones in a row."""
        for _ in range(_MAX_TRIES):
            row = int(rng.integers(len(self._images)))
            if self._decode is None:
                image: Pixels = self._images[row]
                return image
            try:
                decoded: Pixels = self._decode(self._images.read(row))
            except (AslError, OSError):
                continue
            return decoded
        return rng.integers(0, 256, size=(64, 64, 3), dtype=np.uint8)
