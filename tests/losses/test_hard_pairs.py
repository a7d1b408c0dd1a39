"""Losses on hard-negative pairs, and those of RDCD: by hand, by plain loops, gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.losses import LossInputs
from asl.losses.hard_pairs import (
    HoldTogether,
    NearestNegative,
    PushApart,
    nearest_negative,
    relational,
)
from tests.losses.small_batch import (
    SOURCE,
    check_gradient,
    check_group_does_not_repel,
    check_zero_without_pairs,
    unit,
)

PAIRS = torch.tensor([[0, 2], [1, 4]])


def test_nearest_negative_and_relational_by_loop() -> None:
    u, t = unit(3), unit(4)
    worst = [max(float(u[i] @ u[n]) for n in range(6) if SOURCE[n] != SOURCE[i]) for i in range(6)]
    assert float(nearest_negative(u, SOURCE)) == pytest.approx(
        sum(-math.log(max(1 - w, 1e-3)) for w in worst) / 6
    )
    total = 0.0
    for i in range(6):
        others = [j for j in range(6) if j != i]
        p = torch.softmax(torch.stack([t[i] @ t[j] for j in others]) / 0.1, 0)
        q = torch.softmax(torch.stack([u[i] @ u[j] for j in others]) / 0.1, 0)
        total += float((p * (p.log() - q.log())).sum())
    assert float(relational(u, t, temperature=0.1)) == pytest.approx(total / 6)
    assert float(relational(u, u, temperature=0.1)) == pytest.approx(0.0, abs=1e-9)


def test_both_readings_of_a_hard_pair() -> None:
    close = torch.tensor([[2.0, 0.0], [1.0, 0.0]])
    pairs = {"pair_index": torch.tensor([[0, 1]]), "pair_directed": torch.tensor([True])}
    apart = LossInputs(close, torch.tensor([0, 1]), **pairs)
    assert float(PushApart(margin=0.3)(apart)) == pytest.approx(0.7)
    assert float(HoldTogether()(apart)) == pytest.approx(math.exp(-1.0)), (
        "same angle; the first holds more, norm 2 to 1"
    )
    unknown = LossInputs(
        close,
        torch.tensor([0, 1]),
        pair_index=pairs["pair_index"],
        pair_directed=torch.tensor([False]),
    )
    assert float(HoldTogether()(unknown)) == pytest.approx(0.0)


@pytest.mark.parametrize(
    "loss",
    [
        lambda f: nearest_negative(F.normalize(f, dim=1), SOURCE),
        lambda f: relational(F.normalize(f, dim=1), unit(7), temperature=0.2),
        lambda f: HoldTogether()(
            LossInputs(f, SOURCE, pair_index=PAIRS, pair_directed=torch.tensor([True, False]))
        ),
    ],
)
def test_gradients(loss: Callable[[Tensor], Tensor]) -> None:
    check_gradient(loss)


@pytest.mark.parametrize("loss", [NearestNegative(), PushApart()])
def test_a_batch_without_pairs_gives_zero_and_a_gradient(loss: nn.Module) -> None:
    check_zero_without_pairs(loss)


@pytest.mark.parametrize("loss", [NearestNegative()], ids=lambda loss: type(loss).__name__)
def test_two_originals_of_one_group_do_not_repel(loss: nn.Module) -> None:
    check_group_does_not_repel(loss)
