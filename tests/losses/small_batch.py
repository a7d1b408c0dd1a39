"""Small batches that the tests of this room share, and the checks that every loss must pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.losses import LossInputs

SOURCE = torch.tensor([0, 0, 1, 1, 2, 2])
TWO_ORIGINALS = torch.tensor([0, 0, 1, 1])


def features(seed: int = 0, rows: int = 6, dim: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, dim, generator=generator, dtype=torch.float64)


def unit(seed: int = 0) -> Tensor:
    return F.normalize(features(seed), dim=1)


def four_rows(seed: int = 0) -> Tensor:
    return torch.randn(4, 4, generator=torch.Generator().manual_seed(seed))


def check_gradient(loss: Callable[[Tensor], Tensor]) -> None:
    """Compare the gradient with finite differences, in double precision."""
    assert torch.autograd.gradcheck(loss, (features(9).requires_grad_(),))


def check_zero_without_pairs(loss: nn.Module) -> None:
    """A batch of one row has no pair: the loss is 0 and can still be differentiated."""
    rows = features(rows=1).float().requires_grad_()
    empty = torch.zeros(0, 2, dtype=torch.int64)
    value = loss(LossInputs(rows, torch.tensor([0]), content=torch.ones(1), pair_index=empty))
    value.backward()
    assert float(value.detach()) == 0.0
    assert rows.grad is not None


def check_group_does_not_repel(loss: nn.Module) -> None:
    """Images of one group are no negatives of each other, in a batch or in a memory."""
    alike = torch.zeros(4, 2, dtype=torch.int64)
    alike[:, 1] = torch.arange(4)
    apart = {"groups": None, "pair_index": alike[:0]}
    joined = {"groups": torch.tensor([5, 5]), "pair_index": alike[:0]}
    for seed in (0, 1):  # the second time with the rows of the first in the memory
        rows = four_rows(seed)
        assert float(loss(LossInputs(rows, TWO_ORIGINALS, **apart)).detach().abs()) > 1e-3
        value = float(loss(LossInputs(rows, TWO_ORIGINALS, **joined)).detach())
        assert value == pytest.approx(0.0)
