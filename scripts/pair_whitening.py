"""Whitening of the differences between views of one photograph, as the start of a neck."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from asl.models.necks import SqrtLinear

Rows = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]


def pair_whitening(features: Matrix, source: Rows, dim: int) -> tuple[Matrix, Matrix]:
    """Whiten the scatter within photographs, then keep the principal components of the whole.

    Args:
        features: float32 ``[N, D]``, the same number of views of each photograph side by side.
        source: int64 ``[N]`` photographs.
        dim: components.

    Returns:
        Weight float32 ``[dim, D]`` and bias ``[dim]`` of a linear layer.
    """
    count = len(np.unique(source))
    values = features.astype(np.float64)
    centre = values.mean(axis=0)
    views = (values - centre).reshape(count, -1, values.shape[1])
    within = (views - views.mean(axis=1, keepdims=True)).reshape(values.shape)
    scatter = within.T @ within / (len(values) - count)
    # the mean eigenvalue as a ridge: directions that hardly vary are not blown up
    eigenvalues, axes = np.linalg.eigh(
        scatter + np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    )
    whiten = (axes / np.sqrt(eigenvalues)) @ axes.T
    white = (values - centre) @ whiten
    components = np.linalg.eigh(white.T @ white)[1][:, ::-1][:, :dim].T @ whiten
    return components.astype(np.float32), (-components @ centre).astype(np.float32)


class WhitenedNeck(nn.Module):
    """A fixed whitening of the square roots, then a trained linear layer that starts as identity.

    Trained directly, the whitening itself is too badly conditioned: a small step in all its weights
    moves every embedding the same way.
    """

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.white = SqrtLinear(width, dim)
        self.turn = nn.Linear(dim, dim, bias=False)
        with torch.no_grad():
            self.turn.weight.copy_(torch.eye(dim))

    def forward(self, pooled: Tensor) -> Tensor:
        """Return the embedding ``[B, D]``."""
        result: Tensor = self.turn(self.white(pooled))
        return result

    def folded(self) -> SqrtLinear:
        """Join both layers."""
        neck = SqrtLinear(self.white.linear.in_features, self.white.dim)
        with torch.no_grad():
            neck.linear.weight.copy_(self.turn.weight @ self.white.linear.weight)
            neck.linear.bias.copy_(self.turn.weight @ self.white.linear.bias)
        return neck
