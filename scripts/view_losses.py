"""Losses of ``train_upper_stages.py``: views against all originals, pairs against one limit."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def nce_of_originals(
    unit: Tensor, rows: Tensor, bank: Tensor, groups: Tensor, *, temperature: float
) -> Tensor:
    """Average −log e^{s_i/t} / Σ_n e^{s_in/t}: each view finds its original among all of them.

    Views and originals come from two networks, the bank's being the slow average, and the positive
    is of the bank, too: were it of the batch, all views could move away from the bank together.

    Args:
        unit: ``[B, D]`` unit rows of the views.
        rows: int64 ``[B]`` rows of their originals in the bank.
        bank: ``[N, D]`` unit rows of the originals, without gradient.
        groups: int64 ``[N]``; originals of one group are no negatives of each other.
        temperature: t.
    """
    cosines = unit @ bank.T / temperature
    own = torch.arange(len(bank), device=rows.device)[None, :] == rows[:, None]
    ignored = (groups[None, :] == groups[rows][:, None]) & ~own
    return F.cross_entropy(cosines.masked_fill(ignored, -torch.inf), rows)


def pooled_nce(unit: Tensor, source: Tensor, groups: Tensor, *, temperature: float) -> Tensor:
    """Average −log e^{s_ij/t} / (e^{s_ij/t} + M) over pairs of views of one photograph.

    M is the mean of the rows' sums over negatives, e^{s/t}, the same for all pairs: cosines of
    different queries become comparable, as one threshold and the micro average precision need.

    Args:
        unit: ``[B, D]`` unit rows.
        source: int64 ``[B]`` photographs.
        groups: int64 ``[B]``; rows of one group are no negatives of each other.
        temperature: t.
    """
    logits = unit @ unit.T / temperature
    positive = (source[:, None] == source[None, :]) & ~torch.eye(
        len(unit), dtype=torch.bool, device=unit.device
    )
    negative = groups[:, None] != groups[None, :]
    mean = torch.logsumexp(logits[negative], dim=0) - math.log(len(unit))
    return F.softplus(mean - logits)[positive].mean()
