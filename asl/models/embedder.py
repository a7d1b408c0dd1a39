"""The embedder: from pixels to an un-normalised feature; trained, saved, loaded and exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from asl.models.pooling import map_statistics
from asl.models.recipe import Preprocessing, Recipe
from asl.types import AslError


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
        *pooled, patches = self.pooled(images)
        with torch.autocast(images.device.type, enabled=False):
            embedding: Tensor = self.neck(*pooled)
        return embedding, patches

    def pooled(self, images: Tensor) -> tuple[Tensor, ...]:
        """Pool the patch features of images.

        Args:
            images: as in :meth:`forward`.

        Returns:
            What the neck reads, float32: pooled features ``[B, W]`` and, where the recipe has
            ``norm_stages``, statistics of those stages ``[B, W']``. Last, the patch features
            ``[B, C, h, w]``.
        """
        features, stages = self._features(self.normalise(images))
        patches, token = self._as_map(features)
        # Pooling and neck are cheap and determine the norm: never in 16 bits.
        with torch.autocast(images.device.type, enabled=False):
            pooled = self.pool(patches.float()) if self.pool is not None else token.float()
            statistics = [map_statistics(stage.float()) for stage in stages]
        return (pooled, *statistics, patches)

    def _features(self, images: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        """Return the features of normalised images, and the maps that the norm head reads."""
        network: Any = self.backbone
        if not self.recipe.norm_stages:
            return network.forward_features(images), ()
        features, stages = network.forward_intermediates(images, indices=self.recipe.norm_stages)
        return features, stages

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
