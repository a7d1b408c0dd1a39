"""The losses of the training on cached views, against sums over single pairs."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
losses = pytest.importorskip("view_losses", reason="scripts/ is not beside the tests")

GROUPS = torch.tensor([0, 1, 1, 3, 4, 0])  # of six photographs
ROWS = torch.tensor([0, 0, 2, 2, 4, 4])  # photographs of six views


def drawn(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, 8, generator=generator))


def test_each_view_is_compared_with_its_original_and_those_of_other_groups() -> None:
    views, bank, t = drawn(6, 0), drawn(6, 1), 0.2
    parts = []
    for view, row in zip(views, ROWS.tolist(), strict=True):
        known = [n for n in range(6) if n == row or GROUPS[n] != GROUPS[row]]
        total = sum(math.exp(float(view @ bank[n]) / t) for n in known)
        parts.append(math.log(total) - float(view @ bank[row]) / t)
    value = losses.nce_of_originals(views, ROWS, bank, GROUPS, temperature=t)
    assert float(value) == pytest.approx(sum(parts) / 6, rel=1e-5)


def test_all_pairs_of_a_photograph_stand_against_one_limit() -> None:
    views, t = drawn(6, 0), 0.2
    group = GROUPS[ROWS]
    cosine = (views @ views.T).tolist()
    pairs = [(i, j) for i in range(6) for j in range(6)]
    others = sum(math.exp(cosine[i][j] / t) for i, j in pairs if group[i] != group[j]) / 6
    own = [math.exp(cosine[i][j] / t) for i, j in pairs if ROWS[i] == ROWS[j] and i != j]
    expected = sum(-math.log(value / (value + others)) for value in own) / len(own)
    value = losses.pooled_nce(views, ROWS, group, temperature=t)
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_a_step_moves_views_towards_their_originals() -> None:
    views, bank = drawn(6, 0).requires_grad_(), drawn(6, 1)
    losses.nce_of_originals(views, ROWS, bank, GROUPS, temperature=0.2).backward()
    moved = F.normalize((views - 0.1 * views.grad).detach())
    before = (views.detach() * bank[ROWS]).sum(dim=1)
    assert ((moved * bank[ROWS]).sum(dim=1) > before).all()
