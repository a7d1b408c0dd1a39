"""Warm-up and cosine decay of the learning rate; which parameters decay their weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from asl.types import AslError

OptimizerFactory = Callable[[Iterable[dict[str, Any]]], Optimizer]


@dataclass(frozen=True)
class WarmupCosine:
    """Linear warm-up to the optimiser's own rate, a flat stretch, then half a cosine down to a share of it.

    Attributes:
        warmup: share of all steps that warms up, 0..1.
        flat: share of all steps that keeps the full rate, 0..1.
        final: share of the rate at the last step, 0..1.
    """

    warmup: float = 0.05
    final: float = 0.01
    flat: float = 0.0

    def __post_init__(self) -> None:
        if (
            min(self.warmup, self.flat) < 0
            or self.warmup + self.flat >= 1
            or not 0 <= self.final <= 1
        ):
            raise AslError(
                "schedule: warmup and flat must be 0 or more and less than 1 together, final in 0..1; got "
                f"{self.warmup}, {self.flat} and {self.final}"
            )

    def factor(self, step: int, steps: int) -> float:
        """What the rate is multiplied by at a step (0-based) of ``steps``."""
        rising = max(1, round(self.warmup * steps)) if self.warmup else 0
        if step < rising:
            return (step + 1) / rising
        falling = rising + round(self.flat * steps)
        progress = min(1.0, max(0, step - falling) / max(1, steps - 1 - falling))
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * progress))

    def attach(self, optimizer: Optimizer, *, steps: int) -> LambdaLR:
        """A scheduler to be stepped after every optimiser step."""
        return LambdaLR(optimizer, lambda step: self.factor(step, steps))


def parameter_groups(
    embedder: nn.Module, loss: nn.Module, *, backbone_rate: float = 1.0
) -> list[dict[str, Any]]:
    """Split the trainable parameters for an optimiser.

    Weight decay is kept off biases, norms and other one-dimensional parameters; a pretrained
    backbone may learn more slowly than what stands on it.

    Args:
        embedder: parameters whose name starts with ``backbone.`` are the backbone.
        loss: class weights and other parameters of losses.
        backbone_rate: factor on the learning rate of the backbone; stored as ``rate`` in its
            groups.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in [*embedder.named_parameters(), *loss.named_parameters()]:
        if parameter.requires_grad:
            groups.setdefault((name.startswith("backbone."), parameter.ndim > 1), []).append(
                parameter
            )
    if not groups:
        raise AslError("nothing to train: every parameter is frozen")
    result = []
    for (backbone, decays), parameters in sorted(groups.items()):
        group: dict[str, Any] = {"params": parameters, "rate": backbone_rate if backbone else 1.0}
        if not decays:
            group["weight_decay"] = 0.0
        result.append(group)
    return result


def scale_rates(optimizer: Optimizer) -> None:
    """Apply each group's ``rate`` factor to the learning rate that the optimiser was made with."""
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * group.get("rate", 1.0)
        group["initial_lr"] = group["lr"]
