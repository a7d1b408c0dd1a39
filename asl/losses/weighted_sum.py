"""Weighted sum of named losses."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from asl.losses.loss_inputs import LossInputs
from asl.types import UsageError


class WeightedSum(nn.Module):
    """total = Σ weight · part; a part of weight 0 is neither built nor computed."""

    def __init__(
        self,
        parts: Mapping[str, nn.Module | Callable[..., nn.Module]],
        weights: Mapping[str, float],
        *,
        classes: int | None = None,
        dim: int | None = None,
        sharded: bool = False,
    ) -> None:
        """Build the parts that have a weight.

        Args:
            parts: name -> loss module, or a partial that is called with ``classes``, ``dim`` and
                ``sharded``, each where it takes it.
            weights: name -> weight, for every part.
            classes: number of training images, for losses with one weight vector each.
            dim: D of the features.
            sharded: class weights will be split over processes.

        Raises:
            UsageError: a weight without a part, a part without a weight, or no weight above 0.
        """
        super().__init__()
        if set(parts) != set(weights):
            unmatched = ", ".join(sorted(set(parts) ^ set(weights)))
            raise UsageError(
                "loss: parts and weights must name the same losses; "
                f"{unmatched} is in one only; add it to the other"
            )
        if not any(weights.values()):
            raise UsageError("loss.weights: all are 0, so there is nothing to train; raise one")
        self.weights = {name: float(weight) for name, weight in weights.items() if weight}
        sizes = {"classes": classes, "dim": dim, "sharded": sharded}
        self.parts = nn.ModuleDict({name: _build(parts[name], sizes) for name in self.weights})

    def forward(self, inputs: LossInputs) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted total and each part's own, unweighted value (both 0-d)."""
        values = {name: part(inputs) for name, part in self.parts.items()}
        weighted = [self.weights[name] * value for name, value in values.items()]
        return torch.stack(weighted).sum(), values


def _build(
    part: nn.Module | Callable[..., nn.Module], sizes: Mapping[str, int | None]
) -> nn.Module:
    if isinstance(part, nn.Module):
        return part
    taken = inspect.signature(part).parameters
    return part(**{name: size for name, size in sizes.items() if name in taken})
