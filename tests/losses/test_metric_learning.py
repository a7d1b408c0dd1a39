"""Losses and miners of pytorch-metric-learning: values, class weights, and what pairs mean."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.console.targets import build
from asl.losses import LossInputs, WeightedSum
from asl.losses.classification import arcface_logits
from asl.losses.contrastive import info_nce
from asl.losses.metric_learning import MetricLearning, all_pairs, without_groups
from asl.training.checks import check_groups, check_loss
from asl.training.parts import LOSS
from asl.types import UsageError
from tests.losses.small_batch import SOURCE, check_zero_without_pairs, features

pml_losses = pytest.importorskip(
    "pytorch_metric_learning.losses", reason="`pip install asl-icd[metric-learning]`"
)
pml_miners = pytest.importorskip("pytorch_metric_learning.miners")
# Images 1 and 2 are a hard pair.
POSITIVES = torch.tensor([0, 1, 1])


def rows(seed: int = 0) -> Tensor:
    return features(seed).float().requires_grad_()


def value_of(part: MetricLearning, groups: Tensor | None = None) -> tuple[float, Tensor]:
    found = rows()
    value = part(LossInputs(found, SOURCE, groups=groups))
    value.backward()
    assert found.grad is not None
    return float(value.detach()), found.grad


def test_ntxent_is_our_info_nce() -> None:
    part = MetricLearning(loss=pml_losses.NTXentLoss(temperature=0.1))
    unit = F.normalize(rows().detach(), dim=1)
    expected = float(info_nce(unit, SOURCE, temperature=0.1))
    assert value_of(part)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        pml_losses.MultiSimilarityLoss(),
        pml_losses.TripletMarginLoss(margin=0.5),
        pml_losses.CircleLoss(),
        pml_losses.ContrastiveLoss(),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_a_loss_alone_and_with_a_miner(loss: nn.Module) -> None:
    alone, gradient = value_of(MetricLearning(loss=loss))
    assert alone == pytest.approx(float(loss(rows().detach(), SOURCE)), rel=1e-6)
    assert gradient.abs().max() > 0
    miner = pml_miners.MultiSimilarityMiner(epsilon=0.1)
    mined, _ = value_of(MetricLearning(loss=loss, miner=miner))
    found = rows().detach()
    assert mined == pytest.approx(float(loss(found, SOURCE, miner(found, SOURCE))), rel=1e-6)
    assert len(miner(found, SOURCE)[3]) < 24, "the miner leaves easy negatives out"


@pytest.mark.parametrize("mined", [False, True], ids=["all pairs", "mined"])
@pytest.mark.parametrize(
    "loss",
    [
        pml_losses.MultiSimilarityLoss(),
        pml_losses.TripletMarginLoss(margin=5.0),
        pml_losses.NTXentLoss(),
        pml_losses.MarginLoss(),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_positives_of_a_hard_pair_do_not_repel(loss: nn.Module, mined: bool) -> None:
    """The views of each image are equal, so that only negatives can move them."""
    part = MetricLearning(
        loss=loss, miner=pml_miners.TripletMarginMiner(margin=5.0) if mined else None
    )
    assert part.heeds_groups
    alike = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.8, 0.6], [0.8, 0.6]], requires_grad=True)
    source = torch.tensor([0, 0, 1, 1])
    (apart,) = torch.autograd.grad(part(LossInputs(alike, source)), alike)
    (joined,) = torch.autograd.grad(
        part(LossInputs(alike, source, groups=torch.tensor([0, 0]))), alike
    )
    assert apart.abs().max() > 1e-2
    assert joined.abs().max() < 1e-6


def test_pairs_and_triplets_of_one_group_are_left_out() -> None:
    group = torch.tensor([0, 0, 7, 7])
    pairs = all_pairs(torch.tensor([0, 1, 2, 2]))
    assert [part.tolist() for part in pairs[:2]] == [[2, 3], [3, 2]]
    kept = without_groups(pairs, group)
    assert [part.tolist() for part in kept[:2]] == [[2, 3], [3, 2]], "positives stay"
    negatives = list(zip(kept[2].tolist(), kept[3].tolist(), strict=True))
    assert (0, 1) not in negatives
    assert (0, 2) in negatives
    triplets = (torch.tensor([2, 2]), torch.tensor([3, 3]), torch.tensor([0, 3]))
    assert [part.tolist() for part in without_groups(triplets, group)] == [[2], [3], [0]]


def test_a_loss_with_class_weights_gets_its_sizes_and_refuses_groups() -> None:
    torch.manual_seed(0)
    arcface = partial(MetricLearning, loss=partial(pml_losses.ArcFaceLoss, margin=20, scale=8))
    total = WeightedSum({"arcface": arcface}, {"arcface": 1.0}, classes=3, dim=4)
    part: Any = total.parts["arcface"]
    assert part.loss.W.shape == (4, 3)
    cosines = F.normalize(rows(), dim=1) @ F.normalize(part.loss.W, dim=0)
    margin = 20 * torch.pi / 180
    logits = arcface_logits(cosines, SOURCE, scale=8, margin=margin)
    expected = float(F.cross_entropy(logits, SOURCE).detach())
    assert value_of(part)[0] == pytest.approx(expected, rel=1e-5)
    assert not part.heeds_groups
    check_groups(total, None)
    with pytest.raises(UsageError, match=r"hard_pairs_as: loss\.parts\.arcface cannot leave"):
        check_groups(total, POSITIVES)
    over_pairs = MetricLearning(loss=pml_losses.TripletMarginLoss())
    check_groups(WeightedSum({"triplet": over_pairs}, {"triplet": 1.0}), POSITIVES)
    with pytest.raises(UsageError, match="_partial_: true beside the _target_ of MetricLearning"):
        MetricLearning(loss=partial(pml_losses.ArcFaceLoss, margin=20))


def test_a_batch_without_a_pair_costs_nothing() -> None:
    check_zero_without_pairs(MetricLearning(loss=pml_losses.ContrastiveLoss()))


def test_a_loss_without_labels_is_refused() -> None:
    with pytest.raises(UsageError, match="SelfSupervisedLoss takes no labels"):
        MetricLearning(loss=pml_losses.SelfSupervisedLoss(pml_losses.NTXentLoss()))


def test_a_configuration_names_loss_and_miner() -> None:
    adapter = "asl.losses.metric_learning.MetricLearning"
    name = "pytorch_metric_learning"
    node: dict[str, Any] = {
        "_target_": "asl.losses.WeightedSum",
        "weights": {"similarity": 1.0, "arcface": 0.5},
        "parts": {
            "similarity": {
                "_target_": adapter,
                "loss": {
                    "_target_": f"{name}.losses.MultiSimilarityLoss",
                    "distance": {"_target_": f"{name}.distances.CosineSimilarity"},
                },
                "miner": {"_target_": f"{name}.miners.MultiSimilarityMiner", "epsilon": 0.2},
            },
            "arcface": {
                "_target_": adapter,
                "_partial_": True,
                "loss": {"_target_": f"{name}.losses.ArcFaceLoss", "_partial_": True},
            },
        },
    }
    check_loss(node, grid=0, teacher=None, pairs=0)
    loss = build(node, LOSS, classes=3, dim=4)
    total, parts = loss(LossInputs(rows(), SOURCE))
    assert set(parts) == {"similarity", "arcface"}
    assert torch.isfinite(total)
    for target, message in (
        (f"{name}.losses.NoSuchLoss", "has no NoSuchLoss"),
        (f"{name}.trainers.MetricLossOnly", "is not allowed"),
        (f"{name}.losses.base_metric_loss_function.inspect.getmro", "cannot import|is not allowed"),
    ):
        node["parts"]["similarity"]["loss"] = {"_target_": target}
        with pytest.raises(UsageError, match=message):
            build(node, LOSS, classes=3, dim=4)
