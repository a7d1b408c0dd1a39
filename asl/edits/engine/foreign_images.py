"""Foreign images for overlays: drawn from the training set, never from references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from asl.edits.engine.edit_base import Rng
from asl.edits.engine.view import Pixels
from asl.types import AslError

_TRIES = 8


class Pool:
    """Images by random draw; given as arrays, or read and decoded from a catalog when they are drawn."""

    def __init__(self, images: Sequence[Pixels] | Any, *, decode: Any = None) -> None:
        """Hold the images.

        Args:
            images: uint8 ``[H, W, 3]`` arrays, or a catalog (``__len__`` and ``read(row) ->
                bytes``).
            decode: bytes -> pixels, needed with a catalog.

        Raises:
            AslError: empty, or a catalog without a decoder.
        """
        if not len(images):
            raise AslError("pool: it is empty; overlays need at least one other image")
        if hasattr(images, "read") and decode is None:
            raise AslError("pool: a catalog needs decode=, e.g. asl.data.images.decode_image")
        self._images: Any = images
        self._decode = decode

    def __len__(self) -> int:
        return len(self._images)

    def draw(self, rng: Rng) -> Pixels:
        """One image; a few unreadable ones are passed over, plain noise stands in after that."""
        for _ in range(_TRIES):
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
