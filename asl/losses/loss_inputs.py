"""Inputs of every loss: the views of a joined batch and what is known of each."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from asl.types import AslError


@dataclass(eq=False)
class LossInputs:
    """B views of the originals of a batch, joined over all processes.

    Attributes:
        features: float ``[B, D]`` un-normalised.
        source: int64 ``[B]`` training image that each view was made from.
        content: float ``[B]`` share of the original that is left, 0..1 (None where unknown).
        view: int64 ``[B]`` number of the view; 0 is the reference view.
        tokens: float ``[B, C, h, w]`` patch features, for losses on patches.
        overlaps: float ``[P, K - 1, h w, h w]`` share of patch i of view 0 that is visible in patch
            j of view k, for the P sources in order (K views each, one source's views side by side).
        pair_index: int64 ``[Q, 2]`` rows of hard-negative pairs.
        pair_directed: bool ``[Q]``; True where the first of a pair is known to hold more.
        teacher: float ``[B, T]`` features of a frozen teacher.
        groups: int64 ``[N]`` group of each of the N training images; images of one group are never
            negatives of each other (``data.hard_pairs_as=positives``). None: each is its own group.
    """

    features: Tensor
    source: Tensor
    content: Tensor | None = None
    view: Tensor | None = None
    tokens: Tensor | None = None
    overlaps: Tensor | None = None
    pair_index: Tensor | None = None
    pair_directed: Tensor | None = None
    teacher: Tensor | None = None
    groups: Tensor | None = None

    def __post_init__(self) -> None:
        rows = len(self.features)
        if self.features.ndim != 2:
            raise AslError(f"features: expected shape [B, D], got {tuple(self.features.shape)}")
        for name in ("source", "content", "view", "tokens", "teacher"):
            value = getattr(self, name)
            if value is not None and len(value) != rows:
                raise AslError(f"{name}: expected {rows} rows, one a feature, got {len(value)}")

    @cached_property
    def unit(self) -> Tensor:
        """``[B, D]`` directions u = f / |f|."""
        return F.normalize(self.features, dim=1)

    @cached_property
    def norms(self) -> Tensor:
        """``[B]`` norms |f|."""
        norms: Tensor = torch.linalg.vector_norm(self.features, dim=1)
        return norms

    @cached_property
    def group(self) -> Tensor:
        """Int64 ``[B]`` group of each row; rows of one group are no negatives."""
        return self.group_of(self.source)

    def group_of(self, source: Tensor) -> Tensor:
        """Look up the groups of training images, e.g. of rows that a memory holds.

        Args:
            source: int64 ``[...]`` training images.

        Returns:
            int64 ``[...]``; ``source`` itself where every image is its own group.
        """
        return source if self.groups is None else self.groups[source]

    def need(self, name: str) -> Tensor:
        """Return a field that a loss cannot do without.

        Raises:
            AslError: it was not given; the message names the key that gives it.
        """
        if name not in {field.name for field in fields(self)}:
            raise AslError(f"loss inputs have no field {name!r}")
        value = getattr(self, name)
        if value is None:
            hints = {
                "overlaps": "set data.grid to the side of the token grid",
                "tokens": "set data.grid to the side of the token grid",
                "teacher": "set teacher=MODEL",
                "pair_index": "set data.pairs and give hard pairs",
            }
            raise AslError(f"this loss needs {name}: {hints.get(name, 'the data module gives it')}")
        tensor: Tensor = value
        return tensor
