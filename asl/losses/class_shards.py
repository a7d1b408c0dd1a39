"""Softmax over classes whose weights are split over processes: loss and gradients of one process.

Each process holds the weights of a contiguous range of classes and computes their logits for the
joined batch. Only maxima, sums and the gradient of the features travel (partial FC without
sampling: An et al., CVPR 2022, section 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed

_BLOCK = 4096  # rows drawn from one seed


@dataclass(frozen=True)
class ClassShard:
    """Range of classes of one process.

    Attributes:
        start: first class.
        stop: class after the last.
        classes: number of classes of all processes.
        processes: number of processes.
    """

    start: int
    stop: int
    classes: int
    processes: int = 1

    @classmethod
    def of(cls, rank: int, *, classes: int, processes: int) -> ClassShard:
        """Return the range of process ``rank``; ranges differ by one class at most.

        >>> [(s.start, s.stop) for s in (ClassShard.of(r, classes=5, processes=2) for r in (0, 1))]
        [(0, 3), (3, 5)]
        """
        least, larger = divmod(classes, processes)
        start = rank * least + min(rank, larger)
        return cls(start, start + least + (rank < larger), classes, processes)

    def columns(self, source: Tensor) -> Tensor:
        """Return the column of each class, int64 ``[B]``; -1 for those of other processes."""
        inside = (source >= self.start) & (source < self.stop)
        return torch.where(inside, source - self.start, -1)


def draw_rows(shard: ClassShard, dim: int, *, std: float, seed: int) -> Tensor:
    """Draw the initial weights of a range of classes, the same for any number of processes.

    Returns:
        float32 ``[stop - start, dim]``, normal with mean 0.
    """
    rows = torch.empty(shard.stop - shard.start, dim, device="cpu")
    for block in range(shard.start // _BLOCK, -(-shard.stop // _BLOCK)):
        mixed = np.random.SeedSequence([seed, block]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(mixed[0] >> np.uint64(1)))
        first = block * _BLOCK
        count = min(_BLOCK, shard.classes - first)
        drawn = torch.empty(count, dim, device="cpu").normal_(0, std, generator=generator)
        low, high = max(first, shard.start), min(first + count, shard.stop)
        rows[low - shard.start : high - shard.start] = drawn[low - first : high - first]
    return rows


class _Shared(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _summed(gradients[0])


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return _summed(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def _summed(value: Tensor) -> Tensor:
    total = value.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total


def shared(value: Tensor, shard: ClassShard) -> Tensor:
    """Return a value that all processes hold, ``value`` itself, for logits of a range of classes.

    Its gradient is the sum over the processes: that of all classes, as in one process.
    """
    if shard.processes == 1:
        return value
    result: Tensor = _Shared.apply(value)
    return result


def sharded_cross_entropy(
    logits: Tensor,
    columns: Tensor,
    *,
    ignore: Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Compute the mean cross-entropy over the classes of all processes.

    Args:
        logits: ``[B, classes of this process]``.
        columns: int64 ``[B]``; -1 where the class is of another process.
        ignore: bool as ``logits``; classes left out of a row's softmax and of its smoothed target.
        smoothing: ε of label smoothing, spread evenly over the classes that count.

    Returns:
        The same value in every process; its gradient is that of this process's logits.
    """
    if ignore is None:
        ignore = torch.zeros_like(logits, dtype=torch.bool)
    counted = logits.masked_fill(ignore, float("-inf"))
    largest = counted.detach().amax(dim=1)
    distributed.all_reduce(largest, op=distributed.ReduceOp.MAX)
    # Relative to the largest, so that no sum loses digits.
    relative = logits - largest[:, None]
    own = relative.gather(1, columns.clamp_min(0)[:, None])[:, 0]
    sums = [
        (counted - largest[:, None]).exp().sum(dim=1),
        torch.where(columns >= 0, own, 0.0),
    ]
    if smoothing:
        sums += [relative.masked_fill(ignore, 0.0).sum(dim=1), (~ignore).sum(dim=1).to(own.dtype)]
    totals: Tensor = _Total.apply(torch.stack(sums))
    log_sum = totals[0].log()
    loss = log_sum - totals[1]
    if smoothing:
        loss = (1 - smoothing) * loss + smoothing * (log_sum - totals[2] / totals[3])
    return loss.mean()
