"""Joined batches of all processes: for the losses, differentiable, and for batch norm."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins.layer_sync import LayerSync
from lightning.pytorch.utilities import rank_zero_only
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn

from asl.losses import LossInputs


def is_first_process() -> bool:
    """Tell whether this is the process of rank 0, or the only one."""
    return bool(getattr(rank_zero_only, "rank", 0) == 0)


def gather(module: L.LightningModule, inputs: LossInputs) -> LossInputs:
    """Join the loss inputs of all processes in rank order; one process returns its own.

    Each process then computes the loss of the whole batch. The gather's backward pass sums the
    gradients of all processes and DDP's averaging divides by their number, so that the step is the
    one a single process would take. Row numbers in ``pair_index`` are moved to the joined batch.

    Args:
        module: knows its trainer and with it the processes.
        inputs: of this process; ``groups`` is not of the batch and must not be set.
    """
    if module.trainer.world_size == 1:
        return inputs
    joined = dict[str, Any]()
    for field in fields(inputs):
        value = getattr(inputs, field.name)
        if isinstance(value, Tensor):
            if field.name == "pair_index":
                value = value + module.trainer.global_rank * len(inputs.features)
            differentiable = value.requires_grad and torch.is_grad_enabled()
            parts: Any = module.all_gather(value, sync_grads=differentiable)
            joined[field.name] = parts.flatten(0, 1)
    return replace(inputs, **joined)


class TimmSyncBatchNorm(LayerSync):
    """Batch statistics over all processes, also in timm's batch norms with an activation.

    torch's own conversion, which Lightning uses, silently drops those activations.
    """

    def apply(self, model: nn.Module) -> nn.Module:
        """Convert every batch norm."""
        converted: nn.Module = convert_sync_batchnorm(model)
        return converted

    def revert(self, model: nn.Module) -> nn.Module:
        """Return the model unchanged: in evaluation mode nothing is synchronised."""
        return model
