"""The embedder: one object from pixels to an un-normalised feature, that is trained, saved, loaded and exported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from asl.types import AslError, UsageError

Resize = Literal["squash", "short", "pad"]


@dataclass(frozen=True)
class Preprocessing:
    """What happens to an image before the network; part of the model.

    Attributes:
        size: pixels of the square side (or of the shorter side).
        resize: ``squash`` to the square, keep the aspect with the ``short`` side at size, or
            ``pad`` to the square.
        mean: of each RGB channel in 0..1.
        std: of each RGB channel in 0..1.
    """

    size: int = 224
    resize: Resize = "squash"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 4096:
            raise UsageError(f"preprocessing.size: must be in 16..4096, got {self.size}")
        if self.resize not in ("squash", "short", "pad"):
            raise UsageError(
                f"preprocessing.resize: expected squash, short or pad, got {self.resize!r}"
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise UsageError("preprocessing: mean and std need three numbers each, std above 0")


@dataclass(frozen=True)
class Recipe:
    """How a network is built, plain values: saved with the weights, so that they can be loaded again.

    Attributes:
        backbone: name of a timm model.
        options: arguments of ``timm.create_model``.
        pooling: ``gem``, ``avg``, ``cls`` or ``rmac``.
        p: of GeM.
        learned_p: whether GeM's p is trained.
        neck: ``linear_bn``, ``linear``, ``bn``, ``projector``, ``sqrt`` or ``none``.
        dim: D of the embedding.
        hidden: layers of the projector.
        slope: of its leaky ReLUs below 0; 0 is a ReLU.
        scale: its last batch norm learns its scale.
        norm_head: a log-norm of its own beside the direction.
        detach_norm: the norm head does not train the backbone.
        without: parts of the backbone that are left out, e.g. the last convolution of an
            EfficientNet (``conv_head``).
        wave: names of backbone stages after which a WaveBlock stands while training, e.g.
            ``layer2``.
    """

    backbone: str
    options: dict[str, Any] = field(default_factory=dict)
    pooling: str = "gem"
    p: float = 3.0
    learned_p: bool = False
    neck: str = "linear_bn"
    dim: int = 256
    hidden: Sequence[int] = (4096,)
    slope: float = 0.0
    scale: bool = False
    norm_head: bool = False
    detach_norm: bool = False
    without: Sequence[str] = ()
    wave: Sequence[str] = ()


class Embedder(nn.Module):
    """Images -> features. The direction says what is shown, the length how much of the original is left.

    Attributes:
        backbone: images -> map of features (or tokens).
        pool: map -> one feature.
        neck: feature -> embedding.
        preprocessing: what the caller does before (resize) and what :meth:`forward` does itself
            (mean and std).
        recipe: how it was built.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        pool: nn.Module | None,
        neck: nn.Module,
        *,
        dim: int,
        preprocessing: Preprocessing,
        recipe: Recipe,
    ) -> None:
        """Put the parts together; ``pool`` None takes the class token."""
        super().__init__()
        self.backbone, self.pool, self.neck = backbone, pool, neck
        self.dim, self.preprocessing, self.recipe = dim, preprocessing, recipe
        self.register_buffer(
            "mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1), persistent=False
        )
        self.register_buffer(
            "std", torch.tensor(preprocessing.std).view(1, 3, 1, 1), persistent=False
        )

    def forward(self, images: Tensor) -> Tensor:
        """Embed images.

        Args:
            images: ``[B, 3, H, W]`` RGB, uint8 0..255 or float 0..1.

        Returns:
            float32 ``[B, D]``, un-normalised.
        """
        return self.tokens(images)[0]

    def tokens(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Embed images and give the patch features too: ``[B, D]`` and ``[B, C, h, w]``."""
        features = self.backbone.forward_features(self.normalise(images))  # type: ignore[operator]
        patches, token = self._as_map(features)
        # Pooling and neck are small and make the length: not in 16 bits, whatever the backbone runs
        # in.
        with torch.autocast(images.device.type, enabled=False):
            pooled = self.pool(patches.float()) if self.pool is not None else token.float()
            embedding: Tensor = self.neck(pooled)
        return embedding, patches

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 0..255 or float 0..1 -> mean 0, standard deviation 1 by the preprocessing."""
        scaled = images.float() / 255.0 if images.dtype == torch.uint8 else images
        return (scaled - self.mean) / self.std

    def _as_map(self, features: Tensor) -> tuple[Tensor, Tensor]:
        if features.ndim == 4:
            return features, features.mean(dim=(2, 3))
        if features.ndim != 3:
            raise AslError(
                f"backbone: features of shape {tuple(features.shape)} are neither a map nor tokens"
            )
        prefix = int(getattr(self.backbone, "num_prefix_tokens", 0))
        patches = features[:, prefix:]
        side = round(patches.shape[1] ** 0.5)
        if side * side != patches.shape[1]:
            raise AslError(f"backbone: {patches.shape[1]} patch tokens are no square map")
        batch, _, width = patches.shape
        return patches.transpose(1, 2).reshape(batch, width, side, side), features[:, 0]
