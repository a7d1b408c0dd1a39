"""Images of one group are no negatives of each other, in any loss and in any memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.losses import LossInputs
from asl.losses.classification import ArcFace, CosFace, SmoothedCrossEntropy, cross_entropy
from asl.losses.contrastive import InfoNCE, KoLeo, SoftTriplet
from asl.losses.hard_pairs import NearestNegative
from asl.losses.memory_bank import CrossBatchContrastive, QueueNCE

SOURCE = torch.tensor([0, 0, 1, 1])
LOSSES = [
    InfoNCE(),
    InfoNCE(suspect_above=0.9),
    KoLeo(),
    SoftTriplet(),
    NearestNegative(),
    QueueNCE(dim=4, size=8),
    CosFace(classes=2, dim=4),
    ArcFace(classes=2, dim=4, margin=0.0),
    SmoothedCrossEntropy(classes=2, dim=4),
]


def rows(seed: int = 0) -> Tensor:
    return torch.randn(4, 4, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_two_originals_of_one_group_do_not_repel(loss: nn.Module) -> None:
    alike = torch.zeros(4, 2, dtype=torch.int64)
    alike[:, 1] = torch.arange(4)
    apart = {"groups": None, "pair_index": alike[:0]}
    joined = {"groups": torch.tensor([5, 5]), "pair_index": alike[:0]}
    for seed in (0, 1):  # the second time with the rows of the first in the memory
        assert float(loss(LossInputs(rows(seed), SOURCE, **apart)).detach().abs()) > 1e-3
        assert float(loss(LossInputs(rows(seed), SOURCE, **joined)).detach()) == pytest.approx(0.0)


def test_a_memory_repels_only_rows_of_other_groups() -> None:
    memory = CrossBatchContrastive(dim=4, size=8, negative_margin=2.0)
    memory(LossInputs(rows(0), SOURCE))
    later = LossInputs(rows(1), torch.tensor([2, 2, 3, 3]), groups=torch.tensor([0, 0, 0, 0]))
    only_pull = float(memory.eval()(later))
    pull = (later.unit[[0, 2]] - later.unit[[1, 3]]).norm(dim=1).mean()
    assert only_pull == pytest.approx(float(pull), rel=1e-5)
    others = LossInputs(rows(1), torch.tensor([2, 2, 3, 3]), groups=torch.tensor([0, 0, 1, 1]))
    assert float(memory(others)) > only_pull + 0.1


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
