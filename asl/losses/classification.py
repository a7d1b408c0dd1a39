"""Metric losses that treat every training image as a class."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.losses.loss_inputs import LossInputs


def cosface_logits(cosines: Tensor, target: Tensor, *, scale: float, margin: float) -> Tensor:
    """Compute s (cos θ_y − m) for the target class and s cos θ for the others.

    Wang et al., CosFace, CVPR 2018, eq. 4.

    Args:
        cosines: ``[B, classes]``.
        target: int64 ``[B]``.
        scale: s.
        margin: m.

    Returns:
        ``[B, classes]``.
    """
    shifted = cosines - margin * F.one_hot(target, cosines.shape[1])
    return scale * shifted


def arcface_logits(cosines: Tensor, target: Tensor, *, scale: float, margin: float) -> Tensor:
    """Compute s cos(θ_y + m) for the target class and s cos θ for the others.

    Deng et al., ArcFace, CVPR 2019, eq. 3. Beyond θ_y = π − m, where that cosine would rise again,
    the target logit continues as the usual straight line.

    Args:
        cosines: ``[B, classes]``.
        target: int64 ``[B]``.
        scale: s.
        margin: m, in radians.

    Returns:
        ``[B, classes]``.
    """
    true_cosine = cosines.gather(1, target[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
    moved = torch.cos(torch.acos(true_cosine) + margin)
    straight = true_cosine - margin * math.sin(margin)
    moved = torch.where(true_cosine > math.cos(math.pi - margin), moved, straight)
    return scale * cosines.scatter(1, target[:, None], moved)


def cross_entropy(
    logits: Tensor, target: Tensor, *, ignore: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Compute the mean cross-entropy over the classes that are not ignored.

    Args:
        logits: ``[B, classes]``.
        target: int64 ``[B]``.
        ignore: bool ``[B, classes]``; classes left out of a row's softmax and of its smoothed
            target. Never the target itself.
        smoothing: ε of label smoothing, spread evenly over the classes that count.
    """
    if ignore is None:
        return F.cross_entropy(logits, target, label_smoothing=smoothing)
    log_shares = F.log_softmax(logits.masked_fill(ignore, float("-inf")), dim=1)
    loss = -log_shares.gather(1, target[:, None])[:, 0]
    if smoothing:
        counted = (~ignore).sum(dim=1)
        uniform = -log_shares.masked_fill(ignore, 0.0).sum(dim=1) / counted
        loss = (1 - smoothing) * loss + smoothing * uniform
    return loss.mean()


def partner_classes(inputs: LossInputs) -> Tensor | None:
    """Mark the other classes of each row's group: they are no negatives.

    Returns:
        bool ``[B, classes]``, or None where every image is its own group.
    """
    if inputs.groups is None:
        return None
    partners = inputs.group[:, None] == inputs.groups[None, :]
    return partners.scatter(1, inputs.source[:, None], False)


class _ClassWeights(nn.Module):
    """One weight vector for every training image."""

    def __init__(self, *, classes: int, dim: int, std: float = 0.01) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, dim))
        nn.init.normal_(self.weight, std=std)

    def cosines(self, unit: Tensor) -> Tensor:
        """Return the cosines ``[B, classes]`` of unit rows with the class weights."""
        return unit @ F.normalize(self.weight, dim=1).T


class CosFace(_ClassWeights):
    """Large-margin cosine loss with the training images as classes."""

    def __init__(
        self, *, classes: int, dim: int, scale: float = 64.0, margin: float = 0.35
    ) -> None:
        """Set s and m; see :func:`cosface_logits`."""
        super().__init__(classes=classes, dim=dim)
        self._scale, self._margin = scale, margin

    def forward(self, inputs: LossInputs) -> Tensor:
        """Return the mean cross-entropy."""
        logits = cosface_logits(
            self.cosines(inputs.unit), inputs.source, scale=self._scale, margin=self._margin
        )
        return cross_entropy(logits, inputs.source, ignore=partner_classes(inputs))


class ArcFace(_ClassWeights):
    """Additive angular margin loss with the training images as classes."""

    def __init__(self, *, classes: int, dim: int, scale: float = 64.0, margin: float = 0.5) -> None:
        """Set s and m; see :func:`arcface_logits`."""
        super().__init__(classes=classes, dim=dim)
        self._scale, self._margin = scale, margin

    def forward(self, inputs: LossInputs) -> Tensor:
        """Return the mean cross-entropy."""
        logits = arcface_logits(
            self.cosines(inputs.unit), inputs.source, scale=self._scale, margin=self._margin
        )
        return cross_entropy(logits, inputs.source, ignore=partner_classes(inputs))


class SmoothedCrossEntropy(_ClassWeights):
    """Linear classifier with label smoothing (Szegedy et al., CVPR 2016, section 7)."""

    def __init__(self, *, classes: int, dim: int, smoothing: float = 0.1) -> None:
        """Set the smoothing ε; the weights start with the standard deviation 0.001 of D2LV."""
        super().__init__(classes=classes, dim=dim, std=0.001)
        self._smoothing = smoothing

    def forward(self, inputs: LossInputs) -> Tensor:
        """Return the mean cross-entropy against the smoothed labels."""
        return cross_entropy(
            inputs.features @ self.weight.T,
            inputs.source,
            ignore=partner_classes(inputs),
            smoothing=self._smoothing,
        )
