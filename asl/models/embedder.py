"""The embedder: from pixels to an un-normalised feature; trained, saved, loaded and exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn

from asl.types import AslError, UsageError

Resize = Literal["squash", "short", "pad"]


@dataclass(frozen=True)
class Preprocessing:
    """Size and normalisation of the network's input; part of the model.

    Attributes:
        size: pixels of the square side (or of the shorter side).
        resize: ``squash`` to the square, ``short`` (keep the aspect, shorter side at ``size``), or
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
            raise UsageError(f"model.size: must be in 16..4096 pixels, got {self.size}")
        if self.resize not in ("squash", "short", "pad"):
            raise UsageError(f"model.resize: expected squash, short or pad, got {self.resize!r}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise UsageError(
                "model.mean, model.std: three numbers each, std above 0; "
                f"got {self.mean} and {self.std}"
            )


@dataclass(frozen=True)
class Recipe:
    """Architecture of an embedder in plain values, saved beside its weights.

    Attributes:
        backbone: name of a timm model.
        options: arguments of ``timm.create_model``.
        pooling: ``gem``, ``avg``, ``cls`` or ``rmac``.
        p: of GeM.
        learned_p: train GeM's p.
        neck: ``linear_bn``, ``linear``, ``bn``, ``projector``, ``sqrt`` or ``none``.
        dim: D of the embedding.
        hidden: widths of the projector's hidden layers.
        slope: of its leaky ReLUs below 0; 0 is a ReLU.
        scale: learn the scale of the projector's last batch norm.
        shift: learn the shift of the batch norm of ``linear_bn``.
        norm_head: predict the log-norm apart from the direction.
        detach_norm: keep the gradient of the norm head from the backbone.
        without: parts of the backbone that are left out, e.g. the last convolution of an
            EfficientNet (``conv_head``).
        full_last_stage: remove the stride of a ResNet's last stage (``layer4``): a map of twice the
            side, without dilation.
        wave: backbone stages that are followed by a WaveBlock in training, e.g. ``layer2``.
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
    shift: bool = False
    norm_head: bool = False
    detach_norm: bool = False
    without: Sequence[str] = ()
    full_last_stage: bool = False
    wave: Sequence[str] = ()


class Hub(Protocol):
    """Folders and repositories of saved embedders; :mod:`asl.models.hub` provides it."""

    def load(self, name: str | Path, *, revision: str | None, token: str | None) -> Embedder:
        """Load from a folder or a repository."""

    def save(self, embedder: Embedder, folder: str | Path, *, card: Mapping[str, Any]) -> None:
        """Write into a folder."""

    def push(
        self,
        embedder: Embedder,
        name: str,
        *,
        card: Mapping[str, Any],
        private: bool,
        token: str | None,
    ) -> str:
        """Upload to a repository; return the address of the commit."""


class Embedder(nn.Module):
    """Map images to features: the direction is content, the norm the share of the original left.

    Attributes:
        backbone: images -> map of features (or tokens).
        pool: map -> one feature.
        neck: feature -> embedding.
        preprocessing: the resize that the caller does, and mean and std, which :meth:`forward`
            applies.
        recipe: its architecture.
    """

    hub: ClassVar[Hub]
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
        """Join the parts; ``pool`` None uses the class token."""
        super().__init__()
        self.backbone = backbone
        self.pool = pool
        self.neck = neck
        self.dim = dim
        self.preprocessing = preprocessing
        self.recipe = recipe
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
        """Embed images and return their patch features too.

        Args:
            images: as in :meth:`forward`.

        Returns:
            float32 ``[B, D]`` un-normalised, and ``[B, C, h, w]``.
        """
        features = self.backbone.forward_features(self.normalise(images))  # type: ignore[operator]
        patches, token = self._as_map(features)
        # Pooling and neck are cheap and determine the norm: never in 16 bits.
        with torch.autocast(images.device.type, enabled=False):
            pooled = self.pool(patches.float()) if self.pool is not None else token.float()
            embedding: Tensor = self.neck(pooled)
        return embedding, patches

    def normalise(self, images: Tensor) -> Tensor:
        """Normalise uint8 0..255 or float 0..1 by mean and std of the preprocessing."""
        scaled = images.float() / 255.0 if images.dtype == torch.uint8 else images
        return (scaled - self.mean) / self.std

    def _as_map(self, features: Tensor) -> tuple[Tensor, Tensor]:
        if features.ndim == 4:
            return features, features.mean(dim=(2, 3))
        if features.ndim != 3:
            raise AslError(
                "model.backbone: its features must be a map [B, C, h, w] or tokens [B, T, C], got "
                f"shape {tuple(features.shape)}; choose another backbone"
            )
        prefix = int(getattr(self.backbone, "num_prefix_tokens", 0))
        patches = features[:, prefix:]
        side = round(patches.shape[1] ** 0.5)
        if side * side != patches.shape[1]:
            raise AslError(
                f"model.backbone: needs a square number of patch tokens, got {patches.shape[1]}; "
                "use square images"
            )
        batch, _, width = patches.shape
        return patches.transpose(1, 2).reshape(batch, width, side, side), features[:, 0]

    @classmethod
    def from_pretrained(
        cls, name: str | Path, *, revision: str | None = None, token: str | None = None
    ) -> Embedder:
        """Load an embedder from a folder, or from a repository of the Hugging Face hub.

        Args:
            name: folder with ``model.safetensors``, or ``OWNER/NAME``.
            revision: branch, tag or commit of the repository.
            token: of the hub, for private repositories.

        Returns:
            The embedder in evaluation mode.

        Raises:
            AslError: there is none, or it cannot be downloaded.
        """
        return cls.hub.load(name, revision=revision, token=token)

    def save_pretrained(self, folder: str | Path, *, card: Mapping[str, Any] | None = None) -> None:
        """Write ``model.safetensors`` and a ``README.md`` for the hub into a folder.

        Args:
            folder: made where it is missing; a README.md that is there stays.
            card: data, recipe and numbers for users; JSON-ready.
        """
        self.hub.save(self, folder, card=card or {})

    def push_to_hub(
        self,
        name: str,
        *,
        card: Mapping[str, Any] | None = None,
        private: bool = False,
        token: str | None = None,
    ) -> str:
        """Upload weights and card to ``OWNER/NAME`` on the Hugging Face hub.

        Args:
            name: of the repository; made where it is missing.
            card: as for :meth:`save_pretrained`.
            private: of a repository that is made.
            token: of the hub; by default that of ``hf auth login``.

        Returns:
            The address of the commit.

        Raises:
            AslError: the hub refuses.
        """
        return self.hub.push(self, name, card=card or {}, private=private, token=token)
