"""Several losses, weighted and named."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from asl.losses.loss_inputs import LossInputs
from asl.types import UsageError


class WeightedSum(nn.Module):
    """total = Σ weight · part; a part of weight 0 is not computed."""

    def __init__(
        self,
        parts: Mapping[str, nn.Module | Callable[..., nn.Module]],
        weights: Mapping[str, float],
        *,
        classes: int | None = None,
        dim: int | None = None,
    ) -> None:
        """Put losses together.

        Args:
            parts: name -> loss module, or a partial that still wants ``classes`` and ``dim``.
            weights: name -> weight, for every part.
            classes: number of originals, for losses with one weight vector each.
            dim: D of the features.

        Raises:
            UsageError: a weight without a part, or a part without a weight.
        """
        super().__init__()
        if set(parts) != set(weights):
            odd = sorted(set(parts) ^ set(weights))
            raise UsageError(
                f"loss: parts and weights must name the same losses; {', '.join(odd)} is in one only"
            )
        if not any(weights.values()):
            raise UsageError("loss: every weight is 0, there is nothing to train on")
        self.weights = {name: float(weight) for name, weight in weights.items() if weight}
        built: dict[str, nn.Module] = {}
        for name in self.weights:
            part = parts[name]
            built[name] = part if isinstance(part, nn.Module) else part(classes=classes, dim=dim)
        self.parts = nn.ModuleDict(built)

    def forward(self, inputs: LossInputs) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted total and every part's own value, un-weighted."""
        values = {name: part(inputs) for name, part in self.parts.items()}
        return torch.stack(
            [self.weights[name] * value for name, value in values.items()]
        ).sum(), values
