"""What every loss is given: the views of a batch, which original each shows, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from asl.types import AslError


@dataclass(eq=False)
class LossInputs:
    """B views of some originals; the joined batch of all processes.

    Attributes:
        features: float ``[B, D]`` un-normalised.
        source: int64 ``[B]`` which original each view was made from.
        content: float ``[B]`` how much of the original is left, 0..1 (None where unknown).
        view: int64 ``[B]`` number of the view, 0 = un-edited.
        tokens: float ``[B, C, h, w]`` patch features, for losses on patches.
        overlaps: float ``[P, K - 1, h w, h w]`` share of patch i of view 0 that lies in patch j of
            view k, for the P sources in order (K views each, one source's views side by side).
        pair_index: int64 ``[Q, 2]`` rows of hard-negative pairs.
        pair_directed: bool ``[Q]`` whether the first of a pair is known to hold more.
        teacher: float ``[B, T]`` features of a frozen teacher.
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
        """``[B]`` lengths |f|."""
        lengths: Tensor = torch.linalg.vector_norm(self.features, dim=1)
        return lengths

    @cached_property
    def same_source(self) -> Tensor:
        """Bool ``[B, B]`` whether two rows show the same original; the diagonal is True."""
        return self.source[:, None] == self.source[None, :]

    def need(self, name: str) -> Tensor:
        """A field that a loss cannot do without.

        Raises:
            AslError: it was not given; the message says what gives it.
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
