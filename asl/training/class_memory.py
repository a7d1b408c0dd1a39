"""What a layer of one weight vector an image takes on a device, before anything is made."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from asl.training.schedule import OptimizerFactory
from asl.types import UsageError


def class_bytes(make_loss: Callable[[], nn.Module], optimizer: OptimizerFactory) -> int:
    """Bytes of the weights of losses in float32, with their gradient and what the optimiser keeps of each."""
    with torch.device("meta"):  # shapes alone
        weights = list(make_loss().parameters())
    if not weights:
        return 0
    defaults: dict[str, Any] = optimizer([{"params": weights}]).defaults
    kept = 2 if "betas" in defaults else int(bool(defaults.get("momentum")))
    return 4 * (2 + kept) * sum(weight.numel() for weight in weights)


def free_bytes(accelerator: str) -> int:
    """Memory that is free on the first GPU, or all memory of this machine where it trains on the CPU."""
    if accelerator != "cpu" and torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    if not hasattr(os, "sysconf"):  # Windows does not say
        return sys.maxsize
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def refuse_large_classes(needed: int, free: int, *, images: int) -> None:
    """Stop before training where the class weights alone do not fit.

    Raises:
        UsageError: they do not; the keys that help are named.
    """
    if needed > free:
        gib = 2**30
        raise UsageError(
            f"loss: class weights for {images} training images need {needed / gib:.1f} GiB with gradient and optimiser "
            f"state, the device has {free / gib:.1f}; raise data.every, lower model.dim, or take a loss without classes"
        )
