"""Embed pictures by torch: on a GPU, and networks that are in memory."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from asl.data.images import Pixels
from asl.models import Embedder, model_hash
from asl.types import F32, UsageError


def usable_device(name: str) -> torch.device:
    """Return a device by name; ``auto`` is the GPU where there is one.

    Raises:
        UsageError: there is no such device, or torch cannot use it.

    >>> usable_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(
            f"device: {name!r} cannot be used here ({reason}); use auto or cpu"
        ) from error
    return device


class TorchRunner:
    """Run an embedder in evaluation mode; it is left in its mode and on its device.

    Attributes: see :class:`asl.features.runner.Runner`; and

        device: where the forward passes run.
    """

    def __init__(self, embedder: Embedder, device: str) -> None:
        """Choose a device (``auto``, ``cpu``, ``cuda`` ...); copy an embedder that is elsewhere.

        Raises:
            UsageError: the device cannot be used here.
        """
        self.device = usable_device(device)
        current = next(embedder.parameters()).device
        # ``cuda`` without an index is any of them.
        same_index = self.device.index in (None, current.index)
        stays = current.type == self.device.type and same_index
        self._embedder = embedder if stays else copy.deepcopy(embedder).to(self.device)
        self._embedder.to(memory_format=torch.channels_last)
        self.preprocessing = embedder.preprocessing
        self.dim = embedder.dim
        self.hash = model_hash(embedder)
        self.name = f"torch {torch.__version__} {self.device.type}"

    def decoders(self) -> int:
        """Return the number of processes that should decode for this device."""
        return 0 if self.device.type == "cpu" else min(8, os.cpu_count() or 1)

    @torch.inference_mode()
    def embed(self, images: list[Pixels]) -> F32:
        """Embed uint8 ``[H, W, 3]`` images, those of one size together.

        Returns:
            float32 ``[B, D]`` features, not normalised.
        """
        result = np.empty((len(images), self.dim), dtype=np.float32)
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
    """Switch TF32 off on a GPU.

    With its 10-bit products log-norms would differ in the third digit from those of a CPU or of
    another batch.
    """
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
