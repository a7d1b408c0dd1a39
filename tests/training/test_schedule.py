"""The rate over a training, what decays and learns slowly, and the fused optimiser."""

from __future__ import annotations

import itertools
from functools import partial

import pytest
import torch
from torch import nn

from asl.training.schedule import WarmupCosine, fused_factory, parameter_groups, scale_rates
from asl.types import AslError


def test_the_rate_rises_then_falls_to_its_end() -> None:
    schedule = WarmupCosine(warmup=0.2, final=0.1)
    rates = [schedule.factor(step, 10) for step in range(10)]
    assert rates[:2] == [0.5, 1.0]
    assert rates[2] == pytest.approx(1.0)
    assert all(earlier > later for earlier, later in itertools.pairwise(rates[2:]))
    assert rates[-1] == pytest.approx(0.1)
    assert schedule.factor(5, 9) == pytest.approx(0.1 + 0.9 * 0.5), (
        "half way down the cosine at the middle"
    )


def test_a_flat_stretch_is_that_of_d2lv() -> None:
    schedule = WarmupCosine(warmup=0.2, final=0.01, flat=0.2)
    rates = [schedule.factor(step, 25) for step in range(25)]
    assert rates[4:11] == pytest.approx([1.0] * 7)
    assert rates[11] < 1.0
    assert rates[17] == pytest.approx(0.01 + 0.99 * 0.5), (
        "half way between the end of the stretch and the last step"
    )
    assert rates[-1] == pytest.approx(0.01)


def test_no_warm_up_starts_at_the_full_rate() -> None:
    assert WarmupCosine(warmup=0.0).factor(0, 100) == pytest.approx(1.0)


def test_a_schedule_out_of_bounds_is_refused() -> None:
    with pytest.raises(AslError, match="warmup"):
        WarmupCosine(warmup=1.0)
    with pytest.raises(AslError, match="flat"):
        WarmupCosine(warmup=0.5, flat=0.5)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.neck = nn.Linear(4, 2)


def test_biases_and_norms_do_not_decay_and_the_backbone_learns_slowly() -> None:
    net = Net()
    groups = parameter_groups(net, nn.Linear(2, 3), backbone_rate=0.1)
    optimizer = torch.optim.AdamW(groups, lr=1.0, weight_decay=0.5)
    scale_rates(optimizer)
    settings = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert settings[id(net.backbone[0].weight)] == (0.1, 0.5)
    assert settings[id(net.backbone[0].bias)] == (0.1, 0.0)
    assert settings[id(net.backbone[1].weight)] == (0.1, 0.0)
    assert settings[id(net.neck.weight)] == (1.0, 0.5)
    assert settings[id(net.neck.bias)] == (1.0, 0.0)
    assert len(settings) == 8, "the parameters of the loss are trained too"


def test_frozen_parameters_are_left_out_and_nothing_to_train_is_an_error() -> None:
    net = Net()
    net.backbone.requires_grad_(False)
    assert sum(len(group["params"]) for group in parameter_groups(net, nn.Identity())) == 2
    net.neck.requires_grad_(False)
    with pytest.raises(AslError, match="frozen"):
        parameter_groups(net, nn.Identity())


def test_adam_is_fused_on_cuda_unless_lightning_refuses_to_clip() -> None:
    adam = partial(torch.optim.AdamW, lr=1e-3)

    def fused(factory: object, *, cuda: bool, clips: bool, mixed: bool) -> bool:
        chosen = fused_factory(factory, cuda=cuda, clips=clips, mixed=mixed)  # type: ignore[arg-type]
        made = chosen([{"params": [torch.nn.Parameter(torch.zeros(2, 2))]}])
        return bool(made.defaults.get("fused"))

    assert fused(adam, cuda=True, clips=False, mixed=True)
    assert fused(adam, cuda=True, clips=True, mixed=False)
    assert not fused(adam, cuda=True, clips=True, mixed=True)
    assert not fused(adam, cuda=False, clips=False, mixed=False)
    assert not fused(partial(torch.optim.SGD, lr=0.1), cuda=True, clips=False, mixed=False)
    assert not fused(partial(adam, foreach=True), cuda=True, clips=False, mixed=False)
