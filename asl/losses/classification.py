"""Metric losses that treat every training image as a class."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.losses.class_shards import ClassShard, draw_rows, sharded_cross_entropy, shared
from asl.losses.loss_inputs import LossInputs


def cosface_logits(cosines: Tensor, target: Tensor, *, scale: float, margin: float) -> Tensor:
    """Compute s (cos θ_y − m) for the target class and s cos θ for the others.

    Wang et al., CosFace, CVPR 2018, eq. 4.

    Args:
        cosines: ``[B, classes]``.
        target: int64 ``[B]``; -1 where the class is in no column.
        scale: s.
        margin: m.

    Returns:
        ``[B, classes]``.
    """
    moved = -margin * (target >= 0).to(cosines.dtype)
    return scale * cosines.scatter_add(1, target.clamp_min(0)[:, None], moved[:, None])


def arcface_logits(cosines: Tensor, target: Tensor, *, scale: float, margin: float) -> Tensor:
    """Compute s cos(θ_y + m) for the target class and s cos θ for the others.

    Deng et al., ArcFace, CVPR 2019, eq. 3. Beyond θ_y = π − m, where that cosine would rise again,
    the target logit continues as the usual straight line.

    Args:
        cosines: ``[B, classes]``.
        target: int64 ``[B]``; -1 where the class is in no column.
        scale: s.
        margin: m, in radians.

    Returns:
        ``[B, classes]``.
    """
    column = target.clamp_min(0)[:, None]
    unmoved = cosines.gather(1, column)
    true_cosine = unmoved.clamp(-1 + 1e-6, 1 - 1e-6)
    moved = torch.cos(torch.acos(true_cosine) + margin)
    straight = true_cosine - margin * math.sin(margin)
    moved = torch.where(true_cosine > math.cos(math.pi - margin), moved, straight)
    moved = torch.where(target[:, None] >= 0, moved, unmoved)
    return scale * cosines.scatter(1, column, moved)


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


def partner_classes(inputs: LossInputs, shard: ClassShard) -> Tensor | None:
    """Mark the other classes of each row's group: they are no negatives.

    Returns:
        bool ``[B, classes of the shard]``, or None where every image is its own group.
    """
    if inputs.groups is None:
        return None
    classes = torch.arange(shard.start, shard.stop, device=inputs.source.device)
    alike = inputs.group[:, None] == inputs.groups[None, shard.start : shard.stop]
    return alike & (inputs.source[:, None] != classes[None, :])


class ClassWeights(nn.Module):
    """One weight vector for every training image, or for the share of one of several processes.

    Attributes:
        weight: ``[classes of the shard, D]``.
        shard: classes whose weights are here.
    """

    def __init__(self, *, classes: int, dim: int, std: float = 0.01, sharded: bool = False) -> None:
        """Draw the weights.

        Args:
            classes: number of training images.
            dim: D.
            std: standard deviation of the initial weights.
            sharded: leave the weights unallocated until :meth:`keep_shard`.
        """
        super().__init__()
        self.shard = ClassShard(0, classes, classes)
        self._std = std
        self._seed = int(torch.randint(2**31, (), device="cpu"))
        device = "meta" if sharded else None
        self.weight = nn.Parameter(torch.empty(classes, dim, device=device))
        if not self.weight.is_meta:
            self.weight.data = self._drawn()

    def keep_shard(self, rank: int, processes: int) -> None:
        """Hold the weights of one process's share of the classes from now on."""
        self.shard = ClassShard.of(rank, classes=self.shard.classes, processes=processes)
        self.weight = nn.Parameter(self._drawn())

    def _drawn(self) -> Tensor:
        return draw_rows(self.shard, self.weight.shape[1], std=self._std, seed=self._seed)

    def cosines(self, unit: Tensor) -> Tensor:
        """Return the cosines ``[B, classes of the shard]`` of unit rows with the weights."""
        return shared(unit, self.shard) @ F.normalize(self.weight, dim=1).T

    def columns(self, inputs: LossInputs) -> Tensor:
        """Return the column of each row's class; -1 where another process has it."""
        return self.shard.columns(inputs.source)

    def loss(self, logits: Tensor, inputs: LossInputs, *, smoothing: float = 0.0) -> Tensor:
        """Return the mean cross-entropy over the classes of all processes."""
        ignore = partner_classes(inputs, self.shard)
        columns = self.columns(inputs)
        if self.shard.processes == 1:
            return cross_entropy(logits, columns, ignore=ignore, smoothing=smoothing)
        return sharded_cross_entropy(logits, columns, ignore=ignore, smoothing=smoothing)


class CosFace(ClassWeights):
    """Large-margin cosine loss with the training images as classes."""

    def __init__(
        self,
        *,
        classes: int,
        dim: int,
        scale: float = 64.0,
        margin: float = 0.35,
        sharded: bool = False,
    ) -> None:
        """Set s and m; see :func:`cosface_logits`."""
        super().__init__(classes=classes, dim=dim, sharded=sharded)
        self._scale, self._margin = scale, margin

    def forward(self, inputs: LossInputs) -> Tensor:
        """Return the mean cross-entropy."""
        cosines, columns = self.cosines(inputs.unit), self.columns(inputs)
        logits = cosface_logits(cosines, columns, scale=self._scale, margin=self._margin)
        return self.loss(logits, inputs)


class ArcFace(ClassWeights):
    """Additive angular margin loss with the training images as classes."""

    def __init__(
        self,
        *,
        classes: int,
        dim: int,
        scale: float = 64.0,
        margin: float = 0.5,
        sharded: bool = False,
    ) -> None:
        """Set s and m; see :func:`arcface_logits`."""
        super().__init__(classes=classes, dim=dim, sharded=sharded)
        self._scale, self._margin = scale, margin

    def forward(self, inputs: LossInputs) -> Tensor:
        """Return the mean cross-entropy."""
        cosines, columns = self.cosines(inputs.unit), self.columns(inputs)
        logits = arcface_logits(cosines, columns, scale=self._scale, margin=self._margin)
        return self.loss(logits, inputs)


class SmoothedCrossEntropy(ClassWeights):
    """Linear classifier with label smoothing (Szegedy et al., CVPR 2016, section 7)."""

    def __init__(
        self, *, classes: int, dim: int, smoothing: float = 0.1, sharded: bool = False
    ) -> None:
        """Set the smoothing ε; the weights start with the standard deviation 0.001 of D2LV."""
        super().__init__(classes=classes, dim=dim, std=0.001, sharded=sharded)
        self._smoothing = smoothing

    def forward(self, inputs: LossInputs) -> Tensor:
        """Return the mean cross-entropy against the smoothed labels."""
        logits = shared(inputs.features, self.shard) @ self.weight.T
        return self.loss(logits, inputs, smoothing=self._smoothing)
