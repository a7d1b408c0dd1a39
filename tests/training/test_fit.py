"""Training that survives: killed and resumed, on one process or two, and never on after a loss that is not finite."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file
from torch import Tensor, nn

from asl.data.catalog import open_catalog
from asl.data.datamodule import CopyDataModule
from asl.data.scenes import render_scene
from asl.data.training_set import TrainingSet, ViewPlan
from asl.edits.recipes import load_recipe
from asl.losses import LossInputs, WeightedSum
from asl.losses.contrastive import InfoNCE
from asl.losses.norm_ratio import NormRatio
from asl.models import build_embedder
from asl.training import CopyDetectionModule, FitSettings, fit
from asl.training.schedule import WarmupCosine
from asl.types import AslError, UsageError


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(8):
        cv2.imwrite(str(folder / f"{number}.jpg"), render_scene(number, height=60, width=72)[..., ::-1])
    return folder


class Killed(BaseException):
    pass


class Kill(Callback):
    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if trainer.current_epoch == 2:
            raise Killed


def train(
    photos: Path,
    output: Path,
    *,
    identities: int = 4,
    devices: int = 1,
    loss: WeightedSum | None = None,
    callbacks: tuple[Callback, ...] = (),
    **settings: Any,
) -> CopyDetectionModule:
    torch.manual_seed(0)
    # No batch norm that learns its statistics: those are of each process's own part of the batch.
    embedder = build_embedder(backbone="resnet10t", size=32, neck="sqrt")
    parts = {"infonce": InfoNCE(), "norm_ratio": NormRatio()}
    module = CopyDetectionModule(
        embedder,
        loss or WeightedSum(parts, {"infonce": 1.0, "norm_ratio": 0.5}),
        optimizer=partial(torch.optim.SGD, lr=0.01, momentum=0.9),
        schedule=WarmupCosine(warmup=0.2, final=0.1),
        freeze_backbone_norm=True,
    )
    plan = ViewPlan(recipe=load_recipe("light"), views=2, sizes={0: 32})
    data = CopyDataModule(TrainingSet(open_catalog(photos), plan), identities=identities)
    chosen: dict[str, Any] = {
        "epochs": 4, "accelerator": "cpu", "devices": devices, "strategy": "ddp" if devices > 1 else "auto",
        "log_every": 1, "progress": False, **settings,
    }  # fmt: skip
    return fit(module, data, FitSettings(**chosen), output=output, callbacks=callbacks)


def weights(module: CopyDetectionModule) -> dict[str, Tensor]:
    return module.embedder.state_dict()


@pytest.mark.slow
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_killed_training_ends_with_the_very_weights_of_an_uninterrupted_one(
    photos: Path, tmp_path: Path, ema: float
) -> None:
    whole = weights(train(photos, tmp_path / "whole", ema=ema))
    with pytest.raises(Killed):
        train(photos, tmp_path / "killed", ema=ema, callbacks=(Kill(),))
    resumed = weights(train(photos, tmp_path / "killed", ema=ema))
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    start = build_embedder(backbone="resnet10t", size=32, neck="sqrt").state_dict()
    assert any(not torch.equal(value, start[name]) for name, value in whole.items()), "and they have moved"


def test_what_is_frozen_stays_to_the_bit_and_the_head_learns(photos: Path, tmp_path: Path) -> None:
    """A norm head on somebody else's features: Adam would turn rounding errors of the rest into steps."""
    torch.manual_seed(0)
    embedder = build_embedder(backbone="resnet10t", size=32, neck="linear_bn", dim=8, norm_head=True)
    before = {name: value.clone() for name, value in embedder.state_dict().items()}
    module = CopyDetectionModule(
        embedder,
        WeightedSum({"norm_ratio": NormRatio()}, {"norm_ratio": 1.0}),
        optimizer=partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1),
        freeze=["backbone", "pool", "neck.neck"],
    )
    plan = ViewPlan(recipe=load_recipe("light"), views=2, sizes={0: 32})
    data = CopyDataModule(TrainingSet(open_catalog(photos), plan), identities=4)
    fit(module, data, FitSettings(epochs=1, accelerator="cpu", log_every=1, progress=False), output=tmp_path)
    changed = {name for name, value in embedder.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("neck.head.") for name in changed)
    with pytest.raises(UsageError, match="freeze: the embedder has no part 'head'"):
        CopyDetectionModule(embedder, module.loss, optimizer=partial(torch.optim.SGD, lr=0.1), freeze=["head"])


def test_a_checkpoint_of_another_model_is_refused(photos: Path, tmp_path: Path) -> None:
    train(photos, tmp_path, max_steps=1)
    last = tmp_path / "checkpoints" / "last.ckpt"
    state = torch.load(last, weights_only=True)
    state["state_dict"]["embedder.neck.strange"] = torch.zeros(1)
    torch.save(state, last)
    with pytest.raises(AslError, match="belongs to another model"):
        train(photos, tmp_path)
    last.write_bytes(b"half a checkpoint")
    with pytest.raises(AslError, match="cannot be resumed"):
        train(photos, tmp_path)


class Broken(nn.Module):
    def forward(self, inputs: LossInputs) -> Tensor:
        return inputs.features.sum() * float("nan")


def test_a_loss_that_is_not_finite_stops_the_run_and_is_named(photos: Path, tmp_path: Path) -> None:
    loss = WeightedSum({"infonce": InfoNCE(), "broken": Broken()}, {"infonce": 1.0, "broken": 0.1})
    with pytest.raises(AslError, match=r"part\(s\) broken are not finite at step 0"):
        train(photos, tmp_path, loss=loss)


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_on_the_joined_batch(photos: Path, tmp_path: Path) -> None:
    alone = weights(train(photos, tmp_path / "one", identities=8))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = Path(__file__).with_name("two_processes.py")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}", str(script),
         str(photos), str(tmp_path / "two"), "2", "4"],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    joined = load_file(tmp_path / "two" / "weights.safetensors")
    for name, value in alone.items():
        assert torch.allclose(value.float(), joined[name].float(), atol=2e-5), name
