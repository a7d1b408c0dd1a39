"""Learning rate schedule, and parameter groups with their weight decay."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from asl.console.schemas.train_config import TrainerConfig
from asl.types import UsageError

OptimizerFactory = Callable[..., Optimizer]  # parameter groups, then options by name


@dataclass(frozen=True)
class WarmupCosine:
    """Linear warm-up, a flat stretch at the optimiser's own rate, then half a cosine down.

    Attributes:
        warmup: share of all steps of the warm-up, 0..1.
        flat: share of all steps at the full rate after it, 0..1.
        final: share of the rate at the last step, 0..1.
    """

    warmup: float = TrainerConfig.warmup
    final: float = TrainerConfig.final
    flat: float = TrainerConfig.flat

    def __post_init__(self) -> None:
        if (
            min(self.warmup, self.flat) < 0
            or self.warmup + self.flat >= 1
            or not 0 <= self.final <= 1
        ):
            raise UsageError(
                "trainer.warmup, trainer.flat: must be 0 or more and less than 1 together, and "
                f"trainer.final in 0..1; got {self.warmup}, {self.flat} and {self.final}"
            )

    def factor(self, step: int, steps: int) -> float:
        """Return the factor on the rate at a step (0-based) of ``steps``."""
        rising = max(1, round(self.warmup * steps)) if self.warmup else 0
        if step < rising:
            return (step + 1) / rising
        falling = rising + round(self.flat * steps)
        progress = min(1.0, max(0, step - falling) / max(1, steps - 1 - falling))
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * progress))

    def attach(self, optimizer: Optimizer, *, steps: int) -> LambdaLR:
        """Return a scheduler that is to be stepped after every optimiser step."""
        return LambdaLR(optimizer, lambda step: self.factor(step, steps))


def parameter_groups(
    embedder: nn.Module, loss: nn.Module, *, backbone_rate: float = 1.0
) -> list[dict[str, Any]]:
    """Split the trainable parameters for an optimiser.

    Biases, norms and other one-dimensional parameters get no weight decay; a pretrained backbone
    may learn more slowly than pooling, neck and losses.

    Args:
        embedder: parameters whose name starts with ``backbone.`` are the backbone.
        loss: class weights and other parameters of losses.
        backbone_rate: factor on the learning rate of the backbone; stored as ``rate`` in its
            groups.

    Raises:
        UsageError: every parameter is frozen.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in [*embedder.named_parameters(), *loss.named_parameters()]:
        if parameter.requires_grad:
            groups.setdefault((name.startswith("backbone."), parameter.ndim > 1), []).append(
                parameter
            )
    if not groups:
        raise UsageError(
            "trainer.freeze: every parameter is frozen, so there is nothing to train; freeze less"
        )
    result = []
    for (backbone, decays), parameters in sorted(groups.items()):
        group: dict[str, Any] = {"params": parameters, "rate": backbone_rate if backbone else 1.0}
        if not decays:
            group["weight_decay"] = 0.0
        result.append(group)
    return result


def scale_rates(optimizer: Optimizer) -> None:
    """Multiply the learning rate of each group by its ``rate``."""
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * group.get("rate", 1.0)
        group["initial_lr"] = group["lr"]


def fused_factory(
    optimizer: OptimizerFactory, *, cuda: bool, clips: bool, mixed: bool
) -> OptimizerFactory:
    """Choose the fused implementation of Adam where it runs: no temporary copy of the weights.

    Args:
        optimizer: parameter groups -> optimiser.
        cuda: train on a CUDA device.
        clips: gradients are clipped.
        mixed: mixed precision, under which Lightning refuses to clip for fused optimisers.

    Returns:
        ``optimizer`` with ``fused=True``, or itself.
    """
    made = getattr(optimizer, "func", optimizer)
    known = isinstance(made, type) and issubclass(made, torch.optim.Adam | torch.optim.AdamW)
    chosen = getattr(optimizer, "keywords", {})
    if not (cuda and known) or (clips and mixed) or "fused" in chosen or "foreach" in chosen:
        return optimizer
    return partial(optimizer, fused=True)
