"""Poolings by hand."""

from __future__ import annotations

import pytest
import torch

from asl.models.pooling import RMAC, Average, GeM
from asl.types import UsageError


def test_poolings_by_hand() -> None:
    grid = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
    assert float(GeM(p=1.0)(grid)) == pytest.approx(3.0)
    assert float(GeM(p=3.0)(grid)) == pytest.approx(((1 + 8 + 27 + 216) / 4) ** (1 / 3))
    assert float(Average()(grid)) == pytest.approx(3.0)
    constant = RMAC()(torch.ones(1, 4, 6, 8))
    assert torch.allclose(torch.nn.functional.normalize(constant), torch.full((1, 4), 0.5))


def test_gem_learns_its_p_where_asked_and_needs_one_above_zero() -> None:
    assert not GeM().p.requires_grad
    assert GeM(learned=True).p.requires_grad
    with pytest.raises(UsageError, match=r"model\.p: GeM needs p > 0, got 0"):
        GeM(p=0.0)
