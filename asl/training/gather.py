"""The joined batch of all processes, differentiable."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import lightning as L
import torch
from torch import Tensor

from asl.losses import LossInputs


def gather(module: L.LightningModule, inputs: LossInputs) -> LossInputs:
    """Join the loss inputs of all processes in rank order; one process gets its own back.

    Each process then computes the loss of the whole batch. The gather's backward pass sums the gradients of all
    processes and DDP's averaging divides by their number, so that the step is the one a single process would take.
    Row numbers in ``pair_index`` are moved to the joined batch.
    """
    if module.trainer.world_size == 1:
        return inputs
    joined: dict[str, Any] = {}
    for field in fields(inputs):
        value = getattr(inputs, field.name)
        if isinstance(value, Tensor):
            if field.name == "pair_index":
                value = value + module.trainer.global_rank * len(inputs.features)
            differentiable = value.requires_grad and torch.is_grad_enabled()
            parts: Any = module.all_gather(value, sync_grads=differentiable)
            joined[field.name] = parts.flatten(0, 1)
    return replace(inputs, **joined)
