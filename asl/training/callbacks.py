"""Small callbacks of the loop: reproducible draws, the rate, the gradient's norm, the last row."""

from __future__ import annotations

import time
from typing import Any, cast

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch.optim import Optimizer

from asl.training.module import CopyDetectionModule


class SeededSteps(Callback):
    """Seed torch for every batch by seed, epoch and batch, so that a resumed run repeats its draws.

    All processes draw the same numbers: each computes the loss of the joined batch, and those must
    agree.
    """

    def __init__(self, seed: int) -> None:
        """Set the seed of the run."""
        self._seed = seed

    def on_train_batch_start(
        self, trainer: L.Trainer, module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed torch on every device."""
        mixed = np.random.SeedSequence(
            [self._seed, trainer.current_epoch, batch_idx]
        ).generate_state(1, np.uint32)
        torch.manual_seed(int(mixed[0]))


class TrainingRate(Callback):
    """Log ``images_per_s``, the views of all processes a second since the epoch began."""

    def __init__(self) -> None:
        self._start = 0.0
        self._images = 0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clock; a training resumed inside an epoch has no start of that epoch."""
        self._start = time.perf_counter()
        self._images = 0

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Restart the clock."""
        self.on_train_start(trainer, module)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the views of all processes."""
        self._images += len(batch["images"]) * trainer.world_size
        rate = self._images / max(time.perf_counter() - self._start, 1e-9)
        module.log("images_per_s", rate, prog_bar=True, batch_size=1)


class GradientNorm(Callback):
    """Log ``gradient_norm``, the norm of the whole gradient before clipping, where a row is due."""

    def on_before_optimizer_step(
        self, trainer: L.Trainer, module: L.LightningModule, optimizer: Optimizer
    ) -> None:
        """Compute and log it."""
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and (trainer.global_step + 1) % every == 0:
            norm = cast(CopyDetectionModule, module).gradient_norm()
            module.log("gradient_norm", norm, batch_size=1)


class LastRow(Callback):
    """Log the values of the last step where no row is due: a short training has a log, too."""

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Log them."""
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if not every or trainer.global_step % every == 0:
            return
        values = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if not name.startswith("validation/")
        }
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.global_step - 1)
