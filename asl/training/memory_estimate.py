"""Memory of a training with one weight vector an image, estimated before anything is allocated."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode

from asl.console.schemas.train_config import TrainConfig
from asl.counts import counted
from asl.losses.classification import ClassWeights
from asl.models import Embedder
from asl.training.schedule import OptimizerFactory
from asl.types import UsageError

_GIB = 2**30
_LOGIT_COPIES = 4  # cosines, margins, logits and the gradient of the softmax


@dataclass(frozen=True)
class StepPlan:
    """Batch, size and precision of a training step, as far as its memory depends on them.

    Attributes:
        rows: views of the joined batch of all processes, the rows of the class logits.
        views: views of this process.
        size: side of the largest views in pixels.
        processes: number of processes; several add DDP's buckets.
        classes: number of training images.
        half: the network runs in 16 bits.
        averaged: an average of the network is kept.
        sharded: class weights and logits are split over the processes.
    """

    rows: int
    views: int
    size: int
    processes: int
    classes: int
    half: bool = False
    averaged: bool = False
    sharded: bool = False


def step_plan(config: TrainConfig, *, images: int, processes: int) -> StepPlan:
    """Return the plan of a configuration.

    Args:
        config: of the training.
        images: number of training images.
        processes: number of processes.
    """
    views = config.data.identities * config.data.views
    return StepPlan(
        rows=processes * views,
        views=views,
        size=max(config.data.sizes),
        processes=processes,
        classes=images,
        half="16" in config.trainer.precision,
        averaged=config.trainer.ema > 0,
        sharded=config.trainer.shard_classes,
    )


def class_bytes(
    make_loss: Callable[[], nn.Module],
    optimizer: OptimizerFactory,
    *,
    processes: int = 1,
    sharded: bool = False,
) -> int:
    """Count the bytes of the weights of losses in float32 with everything a step keeps of them.

    That is the weights, their gradient, what the optimiser stores of each, the temporary copy of
    its multi-tensor implementation, and DDP's buckets.

    Args:
        make_loss: builds the loss; called on the meta device.
        optimizer: parameter groups -> optimiser.
        processes: number of processes.
        sharded: the weights of :class:`ClassWeights` are split over the processes, without
            buckets.

    Returns:
        Bytes of one process; 0 where the losses have no weights.
    """
    with torch.device("meta"):  # shapes alone
        loss = make_loss()
    split = {id(part.weight) for part in loss.modules() if isinstance(part, ClassWeights)}
    weights = [
        weight
        for weight in loss.parameters()
        if weight.requires_grad and weight.ndim > 1  # a temperature is no class weight
    ]
    if not weights:
        return 0
    copies = 2 + _optimizer_copies(optimizer, weights)
    total = 0
    for weight in weights:
        if sharded and id(weight) in split:
            total += copies * -(-weight.numel() // processes)
        else:
            total += (copies + (processes > 1)) * weight.numel()
    return 4 * total


def _optimizer_copies(optimizer: OptimizerFactory, weights: list[nn.Parameter]) -> int:
    """Count the tensors of the size of the weights that an optimiser holds during a step."""
    made: Optimizer = optimizer([{"params": weights}])
    defaults: dict[str, Any] = made.defaults
    stored = 2 if "betas" in defaults else int(bool(defaults.get("momentum")))
    in_place = bool(defaults.get("fused")) or defaults.get("foreach") is False
    multi_tensor = isinstance(made, torch.optim.Adam | torch.optim.AdamW) and not in_place
    return stored + int(multi_tensor)


def step_bytes(
    embedder: Embedder,
    make_loss: Callable[[], nn.Module],
    optimizer: OptimizerFactory,
    plan: StepPlan,
) -> dict[str, int]:
    """Estimate the memory of a training step on one device, part by part.

    Args:
        embedder: the network.
        make_loss: builds the loss; called on the meta device.
        optimizer: parameter groups -> optimiser.
        plan: batch, size and precision.

    Returns:
        name of a part -> bytes; ``class weights`` is 0 for losses without them.
    """
    classes = class_bytes(make_loss, optimizer, processes=plan.processes, sharded=plan.sharded)
    columns = -(-plan.classes // plan.processes) if plan.sharded else plan.classes
    parameters = [weight for weight in embedder.parameters() if weight.requires_grad]
    copies = 2 + int(plan.averaged) + int(plan.processes > 1)
    if parameters:
        with torch.device("meta"):
            shapes = [nn.Parameter(torch.empty(weight.shape)) for weight in parameters]
        copies += _optimizer_copies(optimizer, shapes)
    network = 4 * copies * sum(weight.numel() for weight in embedder.parameters())
    activations = plan.views * activation_bytes(embedder, size=plan.size)
    return {
        "class weights": classes,
        "class logits": 4 * _LOGIT_COPIES * plan.rows * columns if classes else 0,
        "network": network,
        "activations": activations // 2 if plan.half else activations,
    }


def activation_bytes(embedder: Embedder, *, size: int) -> int:
    """Count the bytes that autograd saves of one view in the backbone, in float32.

    Nothing is allocated: a copy of the backbone runs on the meta device.

    Args:
        embedder: the network.
        size: side of the view in pixels.
    """
    network = copy.deepcopy(embedder).to("meta").train()
    # By their memory: a linear layer saves a transposed view of its weight.
    weights = {weight.untyped_storage()._cdata for weight in network.parameters()}
    saved: dict[int, int] = {}
    kept: list[Tensor] = []  # alive, so that no two have one identity

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights and storage._cdata not in saved:
            saved[storage._cdata] = storage.nbytes()
            kept.append(tensor)
        return tensor

    images = torch.empty(2, 3, size, size, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor), _FusedAttention():
        # Without pooling and neck, which are small and switch autocast: meta has none.
        network.backbone.forward_features(network.normalise(images))  # type: ignore[operator]
    return sum(saved.values()) // 2


class _FusedAttention(TorchFunctionMode):
    """Save what fused attention does; meta has the plain one alone, which keeps every weight."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.scaled_dot_product_attention:
            return _Attention.apply(*args[:3])
        return func(*args, **(kwargs or {}))


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        result = torch.empty_like(query)
        sums = query.new_empty(query.shape[:-1])
        ctx.save_for_backward(query, key, value, result, sums)
        return result


def free_bytes(accelerator: str, devices: Any = 1) -> int:
    """Return the least free memory of the chosen GPUs, or all memory of this machine on the CPU.

    Args:
        accelerator: ``trainer.accelerator``.
        devices: ``trainer.devices``: a number, a list of GPUs, or ``auto``.
    """
    if accelerator != "cpu" and torch.cuda.is_available():
        return min(int(torch.cuda.mem_get_info(gpu)[0]) for gpu in chosen_gpus(devices))
    if not hasattr(os, "sysconf"):  # Windows has none
        return sys.maxsize
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def chosen_gpus(devices: Any) -> list[int]:
    """List the numbers of the GPUs that ``trainer.devices`` chooses, at least one."""
    if isinstance(devices, list | tuple):
        return [int(gpu) for gpu in devices]
    text = str(devices)
    if "," in text:
        return [int(gpu) for gpu in text.split(",") if gpu.strip()]
    every = range(torch.cuda.device_count())
    count = int(text) if text.lstrip("-").isdigit() else -1
    return list(every if count < 0 else every[:count]) or [0]


def refuse_large_classes(needed: dict[str, int], free: int, *, images: int) -> None:
    """Stop before training where the class weights and what comes with them do not fit.

    Args:
        needed: of :func:`step_bytes`.
        free: bytes of the device.
        images: number of training images.

    Raises:
        UsageError: they do not fit; names the parts and the keys that help.
    """
    total = sum(needed.values())
    if not needed["class weights"] or total <= free:
        return
    parts = ", ".join(f"{name} {size / _GIB:.1f}" for name, size in needed.items())
    raise UsageError(
        f"loss: class weights for {counted(images, 'training image')} need {total / _GIB:.1f} GiB "
        "with all "
        f"that a step keeps ({parts}), the device has {free / _GIB:.1f} free; raise data.every, "
        "lower model.dim, set data.hard_pairs_as=none, split them over several devices "
        "(trainer.shard_classes=true), or choose a loss without classes"
    )
