"""A training of seconds that the tests of this room share."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from asl.data.catalog import open_catalog
from asl.data.datamodule import CopyDataModule
from asl.data.training_set import HardPairs, TrainingSet, ViewPlan
from asl.edits.recipes import load_recipe
from asl.losses import WeightedSum
from asl.losses.contrastive import InfoNCE
from asl.losses.norm_ratio import NormRatio
from asl.models import build_embedder
from asl.training import CopyDetectionModule, FitSettings, fit
from asl.training.checkpoints import LAST
from asl.training.schedule import WarmupCosine

SGD = partial(torch.optim.SGD, lr=0.01, momentum=0.9)
FOUR_BATCHES: dict[str, Any] = {"identities": 2, "max_epochs": 2}  # of eight photographs


class Killed(BaseException):
    pass


class KillAt(Callback):
    """Raise, or send a signal, after a step."""

    def __init__(self, step: int, number: signal.Signals | None = None) -> None:
        self._step, self._number = step, number

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == self._step and self._number is not None:
            os.kill(os.getpid(), self._number)

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == self._step and self._number is None:
            raise Killed


class Steps(Callback):
    """Which epochs were trained, and the weights after every step."""

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.weights: list[dict[str, Tensor]] = []

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.epochs.append(trainer.current_epoch)

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: Any) -> None:
        self.weights.append({name: value.clone() for name, value in weights(module).items()})


def train(
    photos: Path,
    output: Path,
    *,
    identities: int = 4,
    backbone: str = "resnet10t",
    hard_pairs: HardPairs | None = None,
    pairs: int = 0,
    devices: int = 1,
    loss: WeightedSum | None = None,
    optimizer: Callable[..., torch.optim.Optimizer] = SGD,
    callbacks: tuple[Callback, ...] = (),
    resume: bool = True,
    **settings: Any,
) -> CopyDetectionModule:
    torch.manual_seed(0)
    # No batch norm that learns its statistics: those are of each process's own part of the batch.
    embedder = build_embedder(backbone=backbone, size=32, neck="sqrt")
    parts = {"infonce": InfoNCE(), "norm_ratio": NormRatio()}
    groups = hard_pairs.groups(8) if hard_pairs else None
    module = CopyDetectionModule(
        embedder,
        loss or WeightedSum(parts, {"infonce": 1.0, "norm_ratio": 0.5}),
        optimizer=optimizer,
        schedule=WarmupCosine(warmup=0.2, final=0.1),
        groups=None if groups is None else torch.from_numpy(groups),
        freeze_backbone_norm=True,
    )
    plan = ViewPlan(recipe=load_recipe("light"), views=2, sizes={0: 32})
    data = CopyDataModule(
        TrainingSet(open_catalog(photos), plan),
        identities=identities,
        hard_pairs=hard_pairs,
        pairs=pairs,
    )
    chosen: dict[str, Any] = {
        "max_epochs": 4,
        "accelerator": "cpu",
        "devices": devices,
        "strategy": "ddp" if devices > 1 else "auto",
        "log_every_n_steps": 1,
        "enable_progress_bar": False,
        **settings,
    }
    return fit(
        module, data, FitSettings(**chosen), output=output, callbacks=callbacks, resume=resume
    )


def weights(module: CopyDetectionModule) -> dict[str, Tensor]:
    return module.embedder.state_dict()


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def step_of(output: Path, name: str = LAST) -> int:
    state = torch.load(output / "checkpoints" / name, weights_only=True)
    return int(state["global_step"])


def command_keys(photos: Path) -> list[str]:
    found = [
        "data=folder",
        f"data.train={photos}",
        "data.identities=4",
        "data.views=2",
        "data.workers=0",
    ]
    found += [
        "data.sizes=[32]",
        "data.size_starts=[0]",
        "trainer.accelerator=cpu",
        "trainer.enable_progress_bar=false",
    ]
    return [*found, "model.backbone=resnet10t", "model.pretrained=false", "model.size=32"]
