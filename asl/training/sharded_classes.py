"""Class weights split over the processes of a training: kept, clipped, and saved whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.utils import get_total_norm

from asl.losses.class_shards import ClassShard
from asl.losses.classification import ClassWeights

_SENT_BYTES = 2**26  # of one message: a buffer of this size, whatever the classes


class ShardedClasses:
    """Class weights that were left unallocated, each process with its own range of classes.

    A checkpoint holds them and what the optimiser keeps of them whole, as of one process, so that
    another number of processes can resume it.
    """

    def __init__(self, loss: nn.Module) -> None:
        """Find the classification losses that were built with ``sharded=True``."""
        self._parts = {
            name: part
            for name, part in loss.named_modules()
            if isinstance(part, ClassWeights) and part.weight.is_meta
        }

    @property
    def split(self) -> bool:
        """Return True where several processes hold the weights."""
        return any(part.shard.processes > 1 for part in self._parts.values())

    def keep(self, rank: int, processes: int) -> None:
        """Draw the weights of the range of process ``rank``."""
        for part in self._parts.values():
            part.keep_shard(rank, processes)

    def names(self) -> list[str]:
        """Return the names of the weights inside the module that holds the loss as ``loss``."""
        return [f"loss.{name}.weight" for name in self._parts]

    def gradient_norm(self, parameters: Iterable[nn.Parameter]) -> Tensor:
        """Compute the norm of the gradient of all parameters, also of those of other processes."""
        own = {id(part.weight) for part in self._parts.values()} if self.split else set()
        replicated = list[Tensor]()
        sharded = list[Tensor]()
        for parameter in parameters:
            if parameter.grad is not None:
                (sharded if id(parameter) in own else replicated).append(parameter.grad)
        norm = get_total_norm(replicated)
        if not self.split:
            return norm
        squares = get_total_norm(sharded).to(norm.device) ** 2
        distributed.all_reduce(squares)
        return (norm**2 + squares).sqrt()

    def gather(self, checkpoint: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """Put the weights of all processes into the checkpoint of the first; all must call.

        Args:
            checkpoint: Lightning's, with the weights of this process.
            parameters: in the order of the optimiser.
        """
        self._convert(checkpoint, parameters, lambda value, shard: _whole(value, shard))

    def scatter(self, checkpoint: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """Replace the whole weights in a checkpoint by those of this process's range."""
        self._convert(
            checkpoint,
            parameters,
            lambda value, shard: value[shard.start : shard.stop].clone(),
        )

    def _convert(
        self,
        checkpoint: dict[str, Any],
        parameters: list[nn.Parameter],
        convert: Callable[[Tensor, ClassShard], Tensor],
    ) -> None:
        place = {id(parameter): number for number, parameter in enumerate(parameters)}
        tensors: dict[str, Any] = checkpoint["state_dict"]
        # Copies: a checkpoint names the optimiser's own state.
        states = [
            {**state, "state": {number: dict(kept) for number, kept in state["state"].items()}}
            for state in checkpoint.get("optimizer_states", [])
        ]
        for name, part in zip(self.names(), self._parts.values(), strict=True):
            rows = len(tensors[name])
            tensors[name] = convert(tensors[name], part.shard)
            for state in states:
                kept = state["state"].get(place[id(part.weight)], {})
                for key, value in kept.items():
                    if isinstance(value, Tensor) and value.ndim and len(value) == rows:
                        kept[key] = convert(value, part.shard)
        if "optimizer_states" in checkpoint:
            checkpoint["optimizer_states"] = states


def _whole(value: Tensor, shard: ClassShard) -> Tensor:
    """Join the rows of all processes in the memory of the first; an empty tensor in the others."""
    first = distributed.get_rank() == 0
    width = value[0].numel()
    step = max(1, _SENT_BYTES // (width * value.element_size()))
    whole = torch.empty(shard.classes if first else 0, *value.shape[1:], dtype=value.dtype)
    if first:
        whole[shard.start : shard.stop] = value.cpu()
    for rank in range(1, shard.processes):
        part = ClassShard.of(rank, classes=shard.classes, processes=shard.processes)
        for low in range(part.start, part.stop, step):
            high = min(low + step, part.stop)
            if first:
                received = value.new_empty(high - low, *value.shape[1:])
                distributed.recv(received, src=rank)
                whole[low:high] = received.cpu()
            elif distributed.get_rank() == rank:
                sent = value[low - part.start : high - part.start].detach().contiguous()
                distributed.send(sent, dst=0)
    return whole


def clip(parameters: Iterable[nn.Parameter], norm: Tensor, *, largest: float) -> None:
    """Scale gradients down to a norm of at most ``largest``.

    Args:
        parameters: whose gradients are scaled.
        norm: of all gradients, those of other processes included.
        largest: above 0.
    """
    factor = (largest / (norm + 1e-6)).clamp(max=1.0)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.mul_(factor.to(parameter.grad.device))
