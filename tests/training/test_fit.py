"""Training on one process or two, resumed, averaged, frozen; stopped by a loss not finite."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.layer_sync import TorchSyncBatchNorm
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
from asl.training.distributed import TimmSyncBatchNorm
from asl.types import AslError, UsageError
from tests.training.small_training import Killed, Steps, train, weights


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(8):
        cv2.imwrite(
            str(folder / f"{number}.jpg"), render_scene(number, height=60, width=72)[..., ::-1]
        )
    return folder


class Kill(Callback):
    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if trainer.current_epoch == 2:
            raise Killed


class KillAtOnce(Callback):
    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        raise Killed


class Random(nn.Module):
    """A loss that draws: a resumed run must draw the same."""

    def forward(self, inputs: LossInputs) -> Tensor:
        return (inputs.unit * torch.randn_like(inputs.unit)).sum()


@pytest.mark.slow
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_killed_training_ends_with_the_very_weights_of_an_uninterrupted_one(
    photos: Path, tmp_path: Path, ema: float
) -> None:
    def drawing() -> WeightedSum:
        parts = {
            "infonce": InfoNCE(),
            "published": NormRatio(pairs="published"),
            "random": Random(),
        }
        return WeightedSum(parts, dict.fromkeys(parts, 0.3))

    whole = weights(train(photos, tmp_path / "whole", ema=ema, loss=drawing()))
    with pytest.raises(Killed):
        train(photos, tmp_path / "killed", ema=ema, loss=drawing(), callbacks=(Kill(),))
    steps = Steps()
    resumed = weights(
        train(photos, tmp_path / "killed", ema=ema, loss=drawing(), callbacks=(steps,))
    )
    assert steps.epochs == [2, 3], "it goes on, and does not begin anew"
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    start = build_embedder(backbone="resnet10t", size=32, neck="sqrt").state_dict()
    assert any(not torch.equal(value, start[name]) for name, value in whole.items()), (
        "and they have moved"
    )
    steps = Steps()
    again = weights(train(photos, tmp_path / "killed", ema=ema, loss=drawing(), callbacks=(steps,)))
    assert not steps.epochs
    assert all(torch.equal(value, again[name]) for name, value in whole.items()), (
        "a finished run stays as it is"
    )


def test_what_is_saved_is_the_moving_average_of_the_weights(photos: Path, tmp_path: Path) -> None:
    steps = Steps()
    saved = weights(train(photos, tmp_path, ema=0.75, callbacks=(steps,)))
    name = "backbone.conv1.0.weight"
    expected = steps.weights[0][name]
    for after in steps.weights[1:]:
        expected = 0.75 * expected + 0.25 * after[name]
    torch.testing.assert_close(saved[name], expected)
    assert not torch.allclose(saved[name], steps.weights[-1][name])


def test_what_is_begun_anew_does_not_go_on_from_an_older_checkpoint(
    photos: Path, tmp_path: Path
) -> None:
    train(photos, tmp_path)
    last = tmp_path / "checkpoints" / "last.ckpt"
    assert last.is_file()
    with pytest.raises(Killed):
        train(photos, tmp_path, resume=False, callbacks=(KillAtOnce(),))
    assert not last.exists()


def test_batch_norm_over_processes_keeps_the_activations_of_timm() -> None:
    network = build_embedder(backbone="tf_efficientnet_lite0", pretrained=None, size=32).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        before = network(images)
        converted = TimmSyncBatchNorm().apply(network)
        torch.testing.assert_close(converted(images), before)
        assert any(isinstance(part, nn.SyncBatchNorm) for part in converted.modules())
        plain = build_embedder(backbone="tf_efficientnet_lite0", pretrained=None, size=32).eval()
        lost = TorchSyncBatchNorm().apply(plain)(images)
    assert not torch.allclose(lost, before, atol=1e-2), "torch's own conversion still loses them"


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
def test_two_processes_take_the_steps_of_one_on_the_joined_batch(
    photos: Path, tmp_path: Path
) -> None:
    alone = weights(train(photos, tmp_path / "one", identities=8))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = Path(__file__).with_name("two_processes.py")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc_per_node=2",
            f"--master_port={port}",
            str(script),
            str(photos),
            str(tmp_path / "two"),
            "2",
            "4",
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    joined = load_file(tmp_path / "two" / "weights.safetensors")
    for name, value in alone.items():
        assert torch.allclose(value.float(), joined[name].float(), atol=2e-5), name
