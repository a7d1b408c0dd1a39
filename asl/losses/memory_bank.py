"""Memory bank of earlier rows, and the metric losses that compare a batch with it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.losses.contrastive import contrastive
from asl.losses.loss_inputs import LossInputs


class MemoryBank(nn.Module):
    """Unit features of the last ``size`` rows, saved in checkpoints."""

    keys: Tensor
    key_source: Tensor
    filled: Tensor

    def __init__(self, *, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(size, dim))
        self.register_buffer("key_source", torch.full((size,), -1, dtype=torch.int64))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def held(self) -> tuple[Tensor, Tensor]:
        """Return the stored rows: unit features ``[M, D]`` and their sources ``[M]``."""
        count = min(int(self.filled), len(self.keys))
        return self.keys[:count], self.key_source[:count]

    @torch.no_grad()
    def push(self, unit: Tensor, source: Tensor) -> None:
        """Store rows in place of the oldest."""
        slots = (self.filled + torch.arange(len(unit), device=self.keys.device)) % len(self.keys)
        self.keys[slots] = unit.detach().to(self.keys.dtype)
        self.key_source[slots] = source
        self.filled += len(unit)


class CrossBatchContrastive(MemoryBank):
    """Contrastive loss against batch and memory (Wang et al., XBM, CVPR 2020, algorithm 1)."""

    def __init__(
        self,
        *,
        dim: int,
        size: int = 20000,
        positive_margin: float = 0.0,
        negative_margin: float = 1.0,
    ) -> None:
        """Set the rows of the memory and the margins of :func:`contrastive`."""
        super().__init__(size=size, dim=dim)
        self._positive_margin, self._negative_margin = positive_margin, negative_margin

    def forward(self, inputs: LossInputs) -> Tensor:
        """Compare with batch and memory; in training mode, then store the batch."""
        stored, stored_source = self.held()
        keys = torch.cat([inputs.unit, stored.to(inputs.unit.dtype)])
        key_source = torch.cat([inputs.source, stored_source])
        loss = contrastive(
            inputs.unit,
            inputs.source,
            keys,
            key_source,
            positive_margin=self._positive_margin,
            negative_margin=self._negative_margin,
            ignore=inputs.group[:, None] == inputs.group_of(key_source)[None, :],
        )
        if self.training:
            self.push(inputs.unit, inputs.source)
        return loss


class QueueNCE(MemoryBank):
    """InfoNCE with further negatives from a queue of earlier rows (He et al., MoCo, CVPR 2020)."""

    def __init__(self, *, dim: int, size: int = 65536, temperature: float = 0.07) -> None:
        """Set the rows of the queue and the temperature."""
        super().__init__(size=size, dim=dim)
        self._temperature = temperature

    def forward(self, inputs: LossInputs) -> Tensor:
        """Compare with batch and queue; in training mode, then queue the batch.

        −log e^{s_ij/t} / (e^{s_ij/t} + Σ e^{s_in/t}), n over other originals in batch and queue.
        """
        stored, stored_source = self.held()
        unit, source = inputs.unit, inputs.source
        key_source = torch.cat([source, stored_source])
        logits = unit @ torch.cat([unit, stored.to(unit.dtype)]).T / self._temperature
        same = source[:, None] == key_source[None, :]
        positive = same.clone()
        positive[:, len(unit) :] = False
        positive.fill_diagonal_(False)
        outside = same | (inputs.group[:, None] == inputs.group_of(key_source)[None, :])
        negatives = torch.logsumexp(logits.masked_fill(outside, float("-inf")), dim=1, keepdim=True)
        losses = F.softplus(negatives - logits)[positive]
        loss = losses.mean() if len(losses) else unit.sum() * 0.0
        if self.training:
            self.push(unit, source)
        return loss
