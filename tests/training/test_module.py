"""The module: compiled, frozen, in full precision; a loss that is not finite stops it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asl.data.catalog import open_catalog
from asl.data.datamodule import CopyDataModule
from asl.data.training_set import TrainingSet, ViewPlan
from asl.edits.recipes import load_recipe
from asl.losses import LossInputs, WeightedSum
from asl.losses.contrastive import InfoNCE
from asl.losses.copynce import CopyNCE
from asl.losses.norm_ratio import NormRatio
from asl.models import build_embedder
from asl.training import CopyDetectionModule, FitSettings, fit
from asl.training import module as module_room
from asl.types import AslError, UsageError
from tests.training.small_training import (
    train,
)


@pytest.mark.parametrize("patches", [False, True])
def test_the_compiled_network_is_the_one_that_is_trained(
    monkeypatch: pytest.MonkeyPatch, patches: bool
) -> None:
    """CopyNCE trains on the patch features, which a compiled ``forward`` does not give."""
    calls: list[torch.Size] = []

    def compile_stand_in(function: Any) -> Any:
        def counted(images: torch.Tensor) -> Any:
            calls.append(images.shape)
            return function(images)

        return counted

    monkeypatch.setattr(module_room.torch, "compile", compile_stand_in)
    embedder = build_embedder(
        backbone="vit_tiny_patch16_224", size=64, dim=8, pooling="cls", options={"img_size": 64}
    )
    parts: dict[str, Any] = {"copynce": CopyNCE()} if patches else {"infonce": InfoNCE()}
    made = CopyDetectionModule(
        embedder,
        WeightedSum(parts, dict.fromkeys(parts, 1.0)),
        optimizer=partial(torch.optim.SGD, lr=0.1),
    )
    made.compile_embedder()
    overlaps = torch.eye(16).expand(1, 1, 16, 16) if patches else None
    inputs = made._loss_inputs(
        {
            "images": torch.zeros(2, 3, 64, 64, dtype=torch.uint8),
            "source": torch.zeros(2, dtype=torch.int64),
            "content": torch.ones(2),
            "view": torch.arange(2),
            "overlaps": overlaps,
            "pair_index": torch.zeros(0, 2, dtype=torch.int64),
            "pair_directed": torch.zeros(0, dtype=torch.bool),
        }
    )
    assert calls == [torch.Size([2, 3, 64, 64])]
    assert (inputs.tokens is not None) == patches
    total, _ = made.loss(inputs)
    assert torch.isfinite(total)


class Precision(nn.Module):
    """A loss that says what it is computed in."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def forward(self, inputs: LossInputs) -> Tensor:
        products = inputs.unit @ inputs.unit.T
        self.seen |= {products.dtype, inputs.norms.dtype}
        return products.mean()


def test_losses_are_float32_whatever_the_network_runs_in(photos: Path, tmp_path: Path) -> None:
    part = Precision()
    loss = WeightedSum({"precision": part}, {"precision": 1.0})
    train(photos, tmp_path, loss=loss, precision="bf16-mixed", max_steps=1)
    assert part.seen == {torch.float32}


def test_what_is_frozen_stays_to_the_bit_and_the_head_learns(photos: Path, tmp_path: Path) -> None:
    """A norm head on given features: Adam would turn rounding errors of the rest into steps."""
    torch.manual_seed(0)
    embedder = build_embedder(
        backbone="resnet10t", size=32, neck="linear_bn", dim=8, norm_head=True
    )
    before = {name: value.clone() for name, value in embedder.state_dict().items()}
    module = CopyDetectionModule(
        embedder,
        WeightedSum({"norm_ratio": NormRatio()}, {"norm_ratio": 1.0}),
        optimizer=partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1),
        freeze=["backbone", "pool", "neck.neck"],
    )
    plan = ViewPlan(recipe=load_recipe("light"), views=2, sizes={0: 32})
    data = CopyDataModule(TrainingSet(open_catalog(photos), plan), identities=4)
    fit(
        module,
        data,
        FitSettings(
            max_epochs=1, accelerator="cpu", log_every_n_steps=1, enable_progress_bar=False
        ),
        output=tmp_path,
    )
    changed = {
        name
        for name, value in embedder.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed
    assert all(name.startswith("neck.head.") for name in changed)
    with pytest.raises(UsageError, match="freeze: the embedder has no part 'head'"):
        CopyDetectionModule(
            embedder, module.loss, optimizer=partial(torch.optim.SGD, lr=0.1), freeze=["head"]
        )


class Broken(nn.Module):
    def forward(self, inputs: LossInputs) -> Tensor:
        return inputs.features.sum() * float("nan")


def test_a_loss_that_is_not_finite_stops_the_run_and_is_named(photos: Path, tmp_path: Path) -> None:
    loss = WeightedSum({"infonce": InfoNCE(), "broken": Broken()}, {"infonce": 1.0, "broken": 0.1})
    with pytest.raises(AslError, match=r"part\(s\) broken are not finite at step 0"):
        train(photos, tmp_path, loss=loss)
