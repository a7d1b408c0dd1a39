"""Metric losses that treat every original as a class."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.losses.loss_inputs import LossInputs


def cosface_logits(cosines: Tensor, target: Tensor, *, scale: float, margin: float) -> Tensor:
    """S (cos θ_y − m) for the right class, s cos θ for the others (Wang et al., CosFace, CVPR 2018, eq. 4)."""
    shifted = cosines - margin * F.one_hot(target, cosines.shape[1])
    return scale * shifted


def arcface_logits(cosines: Tensor, target: Tensor, *, scale: float, margin: float) -> Tensor:
    """S cos(θ_y + m) for the right class (Deng et al., ArcFace, CVPR 2019, eq. 3); linear beyond θ_y = π − m."""
    right = cosines.gather(1, target[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
    moved = torch.cos(torch.acos(right) + margin)
    # Past π − m the cosine would rise again; the usual straight line goes on from there.
    moved = torch.where(
        right > math.cos(math.pi - margin), moved, right - margin * math.sin(margin)
    )
    return scale * cosines.scatter(1, target[:, None], moved)


class _ClassWeights(nn.Module):
    """One weight vector for every original."""

    def __init__(self, *, classes: int, dim: int, std: float = 0.01) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, dim))
        nn.init.normal_(self.weight, std=std)

    def cosines(self, unit: Tensor) -> Tensor:
        """``[B, classes]``."""
        return unit @ F.normalize(self.weight, dim=1).T


class CosFace(_ClassWeights):
    """Large-margin cosine loss with the originals of the training set as classes."""

    def __init__(
        self, *, classes: int, dim: int, scale: float = 64.0, margin: float = 0.35
    ) -> None:
        """Set s and m."""
        super().__init__(classes=classes, dim=dim)
        self._scale, self._margin = scale, margin

    def forward(self, inputs: LossInputs) -> Tensor:
        """Mean cross-entropy."""
        logits = cosface_logits(
            self.cosines(inputs.unit), inputs.source, scale=self._scale, margin=self._margin
        )
        return F.cross_entropy(logits, inputs.source)


class ArcFace(_ClassWeights):
    """Additive angular margin loss with the originals of the training set as classes."""

    def __init__(self, *, classes: int, dim: int, scale: float = 64.0, margin: float = 0.5) -> None:
        """Set s and m."""
        super().__init__(classes=classes, dim=dim)
        self._scale, self._margin = scale, margin

    def forward(self, inputs: LossInputs) -> Tensor:
        """Mean cross-entropy."""
        logits = arcface_logits(
            self.cosines(inputs.unit), inputs.source, scale=self._scale, margin=self._margin
        )
        return F.cross_entropy(logits, inputs.source)


class SmoothedCrossEntropy(_ClassWeights):
    """A linear classifier on the features with label smoothing (Szegedy et al., CVPR 2016, section 7)."""

    def __init__(self, *, classes: int, dim: int, smoothing: float = 0.1) -> None:
        """Set the smoothing; the weights start as small as in D2LV."""
        super().__init__(classes=classes, dim=dim, std=0.001)
        self._smoothing = smoothing

    def forward(self, inputs: LossInputs) -> Tensor:
        """Mean cross-entropy against the smoothed labels."""
        return F.cross_entropy(
            inputs.features @ self.weight.T, inputs.source, label_smoothing=self._smoothing
        )
