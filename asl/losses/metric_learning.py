"""Losses and miners of pytorch-metric-learning as parts of a training's loss.

The package is an extra: ``pip install asl-icd[metric-learning]``.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from asl.losses.loss_inputs import LossInputs
from asl.types import UsageError


class MetricLearning(nn.Module):
    """Apply a loss of pytorch-metric-learning to the joined batch; its labels are the originals.

    Attributes:
        heeds_groups: the loss takes lists of pairs, so that negatives of one group can be left out
            (``data.hard_pairs_as=positives``).
    """

    def __init__(
        self,
        *,
        loss: nn.Module | partial[nn.Module],
        miner: nn.Module | None = None,
        classes: int | None = None,
        dim: int | None = None,
    ) -> None:
        """Wrap a loss.

        Args:
            loss: called with features ``[B, D]``, labels ``[B]`` and indices; or a partial of one
                with class weights, which gets ``num_classes`` and ``embedding_size``.
            miner: chooses pairs or triplets of the batch; all of them where None.
            classes: number of training images.
            dim: D.

        Raises:
            UsageError: the loss takes no labels, or its sizes are not known.
        """
        super().__init__()
        self.loss = _with_sizes(loss, classes, dim) if isinstance(loss, partial) else loss
        self.miner = miner
        if "labels" not in inspect.signature(self.loss.forward).parameters:
            raise UsageError(
                f"loss: {type(self.loss).__name__} takes no labels, by which the views of one "
                "original are known; choose a supervised loss"
            )
        self.heeds_groups = _takes_pairs(self.loss)

    def forward(self, inputs: LossInputs) -> Tensor:
        """Return the loss of the batch (0-d)."""
        indices = self.miner(inputs.features, inputs.source) if self.miner is not None else None
        if inputs.groups is not None:
            indices = without_groups(indices or all_pairs(inputs.source), inputs.group)
        value: Tensor = self.loss(inputs.features, inputs.source, indices)
        # Without a pair some of them return a constant.
        return value if value.requires_grad else value + inputs.features.sum() * 0.0


def all_pairs(source: Tensor) -> tuple[Tensor, ...]:
    """List all pairs of a batch.

    Args:
        source: int64 ``[B]``.

    Returns:
        Anchors and positives of one original, then anchors and negatives of different ones.
    """
    same = source[:, None] == source[None, :]
    own = torch.eye(len(source), dtype=torch.bool, device=source.device)
    return (*torch.where(same & ~own), *torch.where(~same))


def without_groups(indices: tuple[Tensor, ...], group: Tensor) -> tuple[Tensor, ...]:
    """Leave negatives of the anchor's own group out of pairs (4 lists) or triplets (3 lists)."""
    *positives, negative = indices
    anchor = positives[0] if len(indices) == 3 else positives[2]
    kept = group[anchor] != group[negative]
    if len(indices) == 3:
        return tuple(part[kept] for part in indices)
    return (*positives[:2], anchor[kept], negative[kept])


def _with_sizes(loss: partial[nn.Module], classes: int | None, dim: int | None) -> nn.Module:
    taken = inspect.signature(loss).parameters
    sizes: dict[str, Any] = {"num_classes": classes, "embedding_size": dim}
    given = {name: size for name, size in sizes.items() if name in taken}
    if None in given.values():
        raise UsageError(
            "loss: a loss with class weights needs their number; set _partial_: true beside the "
            "_target_ of MetricLearning, too"
        )
    return loss(**given)


def _takes_pairs(loss: nn.Module) -> bool:
    """Tell whether all that a loss compares is in the lists of pairs or triplets that it gets."""
    from pytorch_metric_learning.losses import GenericPairLoss, MarginLoss, TripletMarginLoss

    return isinstance(loss, GenericPairLoss | MarginLoss | TripletMarginLoss)
