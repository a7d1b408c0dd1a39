"""CopyNCE: patches find their own pixels; a wrong grid is named."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from asl.losses import LossInputs
from asl.losses.copynce import CopyNCE, copy_nce
from asl.types import AslError
from tests.losses.small_batch import (
    SOURCE,
    check_gradient,
    features,
    unit,
)


def test_copy_nce_finds_its_own_pixels() -> None:
    tokens = F.normalize(
        torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=2
    )
    same = torch.eye(4, dtype=torch.float64).expand(2, 4, 4)
    aligned = copy_nce(tokens, tokens, same, scale=16, gamma=3)
    shuffled = copy_nce(tokens, tokens[:, [1, 2, 3, 0]], same, scale=16, gamma=3)
    assert float(aligned) < float(shuffled)
    logits = 16 * tokens[0] @ tokens[0].T
    expected = -torch.log_softmax(logits, dim=1).diagonal().mean()
    assert float(copy_nce(tokens[:1], tokens[:1], same[:1], scale=16, gamma=3)) == pytest.approx(
        float(expected)
    )
    assert float(copy_nce(tokens, tokens, torch.zeros_like(same), scale=16, gamma=3)) == 0.0


def test_copy_nce_names_a_wrong_grid() -> None:
    inputs = LossInputs(
        features(), SOURCE, tokens=torch.zeros(6, 8, 3, 3), overlaps=torch.zeros(3, 1, 4, 4)
    )
    with pytest.raises(AslError, match=r"set data\.grid=3"):
        CopyNCE()(inputs)


def test_the_module_compares_view_0_with_every_other_view() -> None:
    tokens = torch.randn(6, 8, 2, 2, generator=torch.Generator().manual_seed(0))
    overlaps = torch.rand(2, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    inputs = LossInputs(
        torch.ones(6, 2), torch.tensor([0, 0, 0, 1, 1, 1]), tokens=tokens, overlaps=overlaps
    )
    rows = tokens.flatten(2).transpose(1, 2)
    terms = [
        copy_nce(rows[[3 * p]], rows[[3 * p + k]], overlaps[p, [k - 1]], scale=16, gamma=3)
        for p in range(2)
        for k in (1, 2)
    ]
    assert float(CopyNCE()(inputs)) == pytest.approx(float(torch.stack(terms).mean()), rel=1e-5)


def test_gradients() -> None:
    overlap = torch.rand(1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    other = unit(6).view(1, 6, 4)
    check_gradient(lambda f: copy_nce(f.view(1, 6, 4), other, overlap, scale=4, gamma=2))
