"""Forward passes of an embedder: pictures ready for the network in, features out."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from asl.data.images import Pixels
from asl.models import Embedder
from asl.types import F32


class Runner:
    """Forward passes in evaluation mode on a ``device``; the embedder is left as it was, and where it was."""

    def __init__(self, embedder: Embedder, device: str, batch_size: int) -> None:
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(auto if device == "auto" else device)
        here = next(embedder.parameters()).device
        stays = here.type == self.device.type and self.device.index in (
            None,
            here.index,
        )  # "cuda" is any of them
        self._embedder = embedder if stays else copy.deepcopy(embedder).to(self.device)
        self._embedder.to(memory_format=torch.channels_last)
        self._batch_size = batch_size

    def decoders(self) -> int:
        """How many processes should decode for this device."""
        return 0 if self.device.type == "cpu" else min(8, os.cpu_count() or 1)

    @torch.inference_mode()
    def embed(self, images: list[Pixels]) -> F32:
        """float32 ``[B, D]``; images of different sizes go through one size at a time."""
        result = np.empty((len(images), self._embedder.dim), dtype=np.float32)
        was_training = self._embedder.training
        self._embedder.eval()
        shapes: dict[tuple[int, ...], list[int]] = {}
        for place, image in enumerate(images):
            shapes.setdefault(image.shape, []).append(place)
        for places in shapes.values():
            stacked = torch.from_numpy(np.stack([images[place] for place in places])).permute(
                0, 3, 1, 2
            )
            batch = stacked.to(self.device, memory_format=torch.channels_last)
            with _full_float32(self.device):
                result[places] = self._embedder(batch).float().cpu().numpy()
        self._embedder.train(was_training)
        return result


@contextmanager
def _full_float32(device: torch.device) -> Iterator[None]:
    """No 10-bit products on a GPU: log-norms would differ in the third digit from those of a CPU or another batch."""
    if device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
