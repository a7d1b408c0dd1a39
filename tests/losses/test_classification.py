"""Classification losses: values by hand, gradients, groups, and that training lowers them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.losses import LossInputs
from asl.losses.classification import (
    ArcFace,
    CosFace,
    SmoothedCrossEntropy,
    arcface_logits,
    cosface_logits,
    cross_entropy,
)
from tests.losses.small_batch import (
    SOURCE,
    check_gradient,
    check_group_does_not_repel,
    features,
    unit,
)


def test_cosface_and_arcface_by_hand() -> None:
    cosines = torch.tensor([[0.5, 0.2]])
    assert torch.allclose(
        cosface_logits(cosines, torch.tensor([0]), scale=10, margin=0.3), torch.tensor([[2.0, 2.0]])
    )
    moved = arcface_logits(cosines, torch.tensor([0]), scale=10, margin=0.3)
    assert float(moved[0, 0]) == pytest.approx(10 * math.cos(math.acos(0.5) + 0.3), rel=1e-5)
    assert float(moved[0, 1]) == pytest.approx(2.0)


def test_arcface_goes_straight_where_its_cosine_would_rise_again() -> None:
    cosines = torch.tensor([[-0.99, 0.2]])
    logits = arcface_logits(cosines, torch.tensor([0]), scale=10, margin=0.5)
    assert float(logits[0, 0]) == pytest.approx(10 * (-0.99 - 0.5 * math.sin(0.5)), rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        lambda f: F.cross_entropy(
            cosface_logits(F.normalize(f, dim=1) @ unit(5).T, SOURCE, scale=8, margin=0.3), SOURCE
        ),
        lambda f: F.cross_entropy(
            arcface_logits(F.normalize(f, dim=1) @ unit(5).T, SOURCE, scale=8, margin=0.3), SOURCE
        ),
    ],
)
def test_gradients(loss: Callable[[Tensor], Tensor]) -> None:
    check_gradient(loss)


@pytest.mark.parametrize("kind", [CosFace, ArcFace, SmoothedCrossEntropy])
def test_class_losses_fall_when_trained(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    loss = kind(classes=3, dim=4)
    rows = nn.Parameter(features().float())
    optimizer = torch.optim.Adam([rows, *loss.parameters()], lr=0.05)
    values = []
    for _ in range(150):
        value = loss(LossInputs(rows, SOURCE))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    assert values[-1] < 0.5 * values[0]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_an_ignored_class_is_as_if_it_were_not_there(smoothing: float) -> None:
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    ignore = torch.zeros(3, 5, dtype=torch.bool)
    ignore[:, 4] = True
    target = torch.tensor([0, 1, 3])
    value = cross_entropy(logits, target, ignore=ignore, smoothing=smoothing)
    expected = F.cross_entropy(logits[:, :4], target, label_smoothing=smoothing)
    torch.testing.assert_close(value, expected)
    value.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[:, 4] == 0).all()


@pytest.mark.parametrize(
    ("kind", "options"),
    [(CosFace, {}), (ArcFace, {"margin": 0.0}), (SmoothedCrossEntropy, {})],
)
def test_two_originals_of_one_group_do_not_repel(
    kind: type[nn.Module], options: dict[str, float]
) -> None:
    torch.manual_seed(0)
    check_group_does_not_repel(kind(classes=2, dim=4, **options))
