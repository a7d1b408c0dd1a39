"""When checkpoints are saved: every epoch, every N steps or minutes, and on SIGTERM."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint

from asl.data.batch_sampler import Position
from asl.training.checkpoints import LAST

_CONTINUE = 0
_SAVE = 1
_STOP = 2


class CheckpointSaver(Checkpoint):
    """Save ``last.ckpt`` at the end of every epoch and in between.

    A checkpoint holds the position of the next batch, so that a resumed training takes the very
    steps of an uninterrupted one, also from inside an epoch. Saves fall on optimiser steps: the
    gradients of an unfinished accumulation are not saved.

    Attributes:
        stopped: SIGTERM ended the training; its last step is saved.
    """

    def __init__(self, folder: Path, *, every_n_steps: int = 0, every_minutes: float = 0.0) -> None:
        """Set the folder and how often to save.

        Args:
            folder: gets ``last.ckpt``.
            every_n_steps: optimiser steps between two saves; 0: only at the end of an epoch.
            every_minutes: minutes between two saves; 0: only at the end of an epoch.
        """
        self.stopped = False
        self._path = folder / LAST
        self._every_n_steps = every_n_steps
        self._every_minutes = every_minutes
        self._terminate = False
        self._step = 0
        self._saved_step = -1
        self._saved_at = 0.0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clock and take SIGTERM over from Lightning, which would leave at once."""
        self._step = trainer.global_step
        self._saved_step = trainer.global_step
        self._saved_at = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            # Lightning puts the handlers of before back when the training ends.
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        self._terminate = True

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save after an optimiser step that is due, or end the epoch on SIGTERM."""
        if trainer.global_step == self._step:
            return
        self._step = trainer.global_step
        decision = self._agree(trainer)
        if decision == _STOP:
            self.stopped = True
            trainer.should_stop = True  # the end of the epoch follows, and saves
        elif decision == _SAVE and not _ends_epoch(trainer):
            self._save(trainer)

    def _agree(self, trainer: L.Trainer) -> int:
        """Take the same decision in every process: clocks and signals differ between them."""
        by_step = self._every_n_steps > 0 and self._step - self._saved_step >= self._every_n_steps
        elapsed = time.monotonic() - self._saved_at
        by_time = self._every_minutes > 0 and elapsed >= 60 * self._every_minutes
        decision = _STOP if self._terminate else _SAVE if by_step or by_time else _CONTINUE
        if trainer.world_size == 1:
            return decision
        shared = torch.tensor(float(decision), device=trainer.strategy.root_device)
        highest: Any = trainer.strategy.reduce(shared, reduce_op="max")
        return int(highest)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Save at the end of an epoch, also of one that a limit or a signal cut short."""
        self._save(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self._path, weights_only=False)
        self._saved_step = trainer.global_step
        self._saved_at = time.monotonic()

    def on_save_checkpoint(
        self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Record the position, and set Lightning's counters to it.

        Lightning's own counters tell the hooks apart in which a checkpoint was saved, and skip the
        rest of an epoch that a limit ended.
        """
        position = next_position(trainer)
        checkpoint["position"] = position._asdict()
        loops = checkpoint["loops"]["fit_loop"]
        started = position.epoch + (position.batch > 0)
        for counter in loops["epoch_progress"].values():
            counter.update(ready=started, started=started)
            counter.update(processed=position.epoch, completed=position.epoch)
        batches = loops["epoch_loop.batch_progress"]
        total = batches["total"]["ready"]
        for counter, count in ((batches["current"], position.batch), (batches["total"], total)):
            counter.update(ready=count, started=count, processed=count, completed=count)
        batches["is_last_batch"] = False
        loops["epoch_loop.state_dict"]["_batches_that_stepped"] = trainer.global_step


def _ends_epoch(trainer: L.Trainer) -> bool:
    """Tell whether the end of the epoch, which saves, follows this batch."""
    at_limit = 0 <= trainer.max_steps <= trainer.global_step
    return at_limit or bool(trainer.should_stop) or next_position(trainer).batch == 0


def next_position(trainer: L.Trainer) -> Position:
    """Return the position after the batches that were trained on."""
    done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
    if done >= trainer.num_training_batches:
        return Position(trainer.current_epoch + 1, 0)
    return Position(trainer.current_epoch, done)
