"""Run a training: trainer, loggers, checkpoints, averaging, progress; resume at the very batch."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, RichProgressBar

from asl.console.plain_console import PlainConsole
from asl.console.schemas.train_config import FitSettings
from asl.data.datamodule import CopyDataModule
from asl.training.callbacks import GradientNorm, LastRow, SeededSteps, TrainingRate
from asl.training.checkpoints import (
    ResumePoint,
    delete_checkpoints,
    find_checkpoint,
    set_damaged_aside,
)
from asl.training.distributed import is_first_process
from asl.training.ema import AveragedEmbedder
from asl.training.lightning_trainer import make_trainer
from asl.training.loggers import make_loggers
from asl.training.module import CopyDetectionModule
from asl.training.saving import CheckpointSaver
from asl.types import AslError


def fit(
    module: CopyDetectionModule,
    data: CopyDataModule,
    settings: FitSettings,
    *,
    output: Path,
    seed: int = 0,
    resume: bool = True,
    callbacks: tuple[Callback, ...] = (),
) -> CopyDetectionModule:
    """Train; the module's embedder holds the (averaged) weights afterwards.

    Args:
        module: embedder and losses.
        data: the training images.
        settings: of the loop.
        output: gets ``checkpoints/last.ckpt`` and ``previous.ckpt``, ``logs/`` (TensorBoard) and
            ``metrics.csv``.
        seed: of everything random.
        resume: continue from the last checkpoint, where there is one, at its very batch; on a CPU
            the weights are bit-identical to those of an uninterrupted run.
        callbacks: further callbacks of Lightning.

    Raises:
        AslError: the loss is not finite, a checkpoint does not fit the model or cannot be written,
            or SIGTERM ended the training (it is saved).
    """
    L.seed_everything(seed, workers=True, verbose=False)
    torch.set_float32_matmul_precision("high")
    if settings.compile:
        module.compile_embedder()
    folder = output / "checkpoints"
    checkpoint = _prepare_checkpoints(folder, module, resume=resume)
    data.start = checkpoint.position if checkpoint else None
    saver = CheckpointSaver(
        folder,
        every_n_steps=settings.save_every_n_steps,
        every_minutes=settings.save_every_minutes,
    )
    averaged = AveragedEmbedder(settings.ema) if settings.ema else None
    loggers = make_loggers(
        settings.logger, output, resumed_step=checkpoint.step if checkpoint else None
    )
    with _quiet_lightning():
        trainer = make_trainer(
            settings,
            loggers=loggers,
            callbacks=[
                SeededSteps(seed),
                TrainingRate(),
                *([GradientNorm(), LastRow()] if loggers else []),
                *([LearningRateMonitor(logging_interval="step")] if loggers else []),
                *([RichProgressBar()] if settings.enable_progress_bar else []),
                *([averaged] if averaged else []),
                *callbacks,
                saver,
            ],
        )
        # weights_only: a checkpoint is data; it must not be able to run code.
        trainer.fit(
            module, data, ckpt_path=checkpoint.path if checkpoint else None, weights_only=True
        )
    if saver.stopped:
        raise AslError(
            f"stopped by SIGTERM at step {trainer.global_step}, which is saved in {folder}; "
            "the same command resumes"
        )
    if averaged:
        averaged.copy_to(module.embedder)
    return module


def _prepare_checkpoints(
    folder: Path, module: CopyDetectionModule, *, resume: bool
) -> ResumePoint | None:
    """Find the checkpoint to resume from, or clear the folder for a new training."""
    if not resume:
        if is_first_process():
            # Killed before its first save, the new training must not resume from these.
            delete_checkpoints(folder)
        return None
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    found = find_checkpoint(folder, shapes)
    if found is None or not is_first_process():
        return found
    if found.warning:
        set_damaged_aside(folder)
        warnings.warn(found.warning, stacklevel=2)
    epoch, batch = found.position
    PlainConsole().say(f"resuming at step {found.step:,}: epoch {epoch}, batch {batch}")
    return found


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence Lightning's tips and notices, and the warnings that do not apply to this loop."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in (
                ".*LeafSpec.*deprecated",
                "The number of training batches .* is smaller than the logging interval",
                "You're resuming from a checkpoint that ended before the epoch ended",
                "Found .* module\\(s\\) in eval mode at the start of training",
                "Experiment logs directory",
            ):
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        logger.setLevel(level)
