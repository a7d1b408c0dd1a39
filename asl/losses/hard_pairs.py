"""Losses on hard-negative pairs: images that look alike and are not copies of each other.

The ASL paper (Wang, Sun & Yang, AAAI 2023) can be read in two ways; both are here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.losses.loss_inputs import LossInputs
from asl.losses.norm_ratio import norm_ratio


def push_apart(first: Tensor, second: Tensor, *, margin: float) -> Tensor:
    """Compute the mean of max(0, cos − margin) over pairs: look-alikes are negatives in angle.

    Args:
        first: ``[Q, D]`` unit rows.
        second: ``[Q, D]`` unit rows.
        margin: cosine below which a pair costs nothing.
    """
    return F.relu((first * second).sum(dim=1) - margin).mean()


class PushApart(nn.Module):
    """First reading: a hard-negative pair must differ in angle."""

    needs = ("pair_index",)
    pairs_as = "negatives"

    def __init__(self, *, margin: float = 0.3) -> None:
        """Set the margin, a cosine."""
        super().__init__()
        self._margin = margin

    def forward(self, inputs: LossInputs) -> Tensor:
        """Apply :func:`push_apart`; 0 where the batch has no pair."""
        pairs = inputs.need("pair_index")
        if not len(pairs):
            return inputs.unit.sum() * 0.0
        return push_apart(inputs.unit[pairs[:, 0]], inputs.unit[pairs[:, 1]], margin=self._margin)


class HoldTogether(nn.Module):
    """Second reading: look-alikes share the angle, and norms order those of known direction.

    L = mean(1 − cos) over all pairs + mean exp(1 − |f_a| / |f_b|) over the directed ones (the
    first, a, holds more).
    """

    needs = ("pair_index", "pair_directed")
    pairs_as = "positives"

    def forward(self, inputs: LossInputs) -> Tensor:
        """Return the loss; 0 where the batch has no pair."""
        pairs, directed = inputs.need("pair_index"), inputs.need("pair_directed")
        if not len(pairs):
            return inputs.unit.sum() * 0.0
        pull = (1 - (inputs.unit[pairs[:, 0]] * inputs.unit[pairs[:, 1]]).sum(dim=1)).mean()
        ordered = pairs[directed]
        if not len(ordered):
            return pull
        return pull + norm_ratio(inputs.norms[ordered[:, 0]], inputs.norms[ordered[:, 1]]).mean()


def nearest_negative(unit: Tensor, group: Tensor, *, floor: float = 1e-3) -> Tensor:
    """Compute the mean of −log max(1 − s_max, floor), s_max = highest cosine with a negative.

    The hard-negative loss of RDCD (Kim et al., WACV 2025).

    Args:
        unit: ``[B, D]`` unit rows.
        group: int64 ``[B]``; rows of another group are negatives.
        floor: bounds the loss.
    """
    same = group[:, None] == group[None, :]
    if bool(same.all()):
        return unit.sum() * 0.0
    nearest = (unit @ unit.T).masked_fill(same, -1.0).max(dim=1).values
    return -torch.log((1 - nearest).clamp_min(floor)).mean()


class NearestNegative(nn.Module):
    """Hard-negative loss of RDCD on the joined batch."""

    def forward(self, inputs: LossInputs) -> Tensor:
        """Apply :func:`nearest_negative`."""
        return nearest_negative(inputs.unit, inputs.group)


def relational(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    """Compute KL(teacher ‖ student) between the softmaxes of cosines with the other rows.

    Kim et al., RDCD, WACV 2025.

    Args:
        student: ``[B, D]`` unit rows.
        teacher: ``[B, T]`` unit rows.
        temperature: of both softmaxes.
    """
    own = torch.eye(len(student), dtype=torch.bool, device=student.device)

    def log_shares(unit: Tensor) -> Tensor:
        return F.log_softmax((unit @ unit.T / temperature).masked_fill(own, -1e4), dim=1)

    return F.kl_div(
        log_shares(student), log_shares(teacher.detach()), reduction="batchmean", log_target=True
    )


class RelationalDistillation(nn.Module):
    """Match the similarities of the batch with those of a frozen teacher."""

    needs = ("teacher",)

    def __init__(self, *, temperature: float = 0.04) -> None:
        """Set the temperature."""
        super().__init__()
        self._temperature = temperature

    def forward(self, inputs: LossInputs) -> Tensor:
        """Apply :func:`relational`."""
        teacher = F.normalize(inputs.need("teacher").to(inputs.unit.dtype), dim=1)
        return relational(inputs.unit, teacher, temperature=self._temperature)
