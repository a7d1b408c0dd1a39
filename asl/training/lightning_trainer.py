"""Build Lightning's trainer from the settings; further arguments are checked by its signature."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any, Literal

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy, Strategy

from asl.console.key_names import unknown_key
from asl.console.schemas.train_config import FitSettings
from asl.training.checkpoints import DurableCheckpoints
from asl.training.distributed import TimmSyncBatchNorm
from asl.types import UsageError

# A check on data.validation keeps the other processes waiting, longer than NCCL's half an hour.
_DDP_TIMEOUT = timedelta(hours=12)
_LONGEST_REASON = 300  # characters of Lightning's own message
# Arguments that :func:`make_trainer` sets itself.
_OWN = {
    "callbacks",
    "default_root_dir",
    "enable_model_summary",
    "logger",
    "plugins",
    "reload_dataloaders_every_n_epochs",
    "use_distributed_sampler",
}
_TIME = re.compile(r"(?=.*[1-9])\d+:\d\d:\d\d:\d\d")  # above 0


def check_length(settings: FitSettings) -> None:
    """Refuse a training without an end, without a step, or of an unreadable time.

    The learning rate follows the share of all steps that is done: they must be known.

    Raises:
        UsageError: the key is named.
    """
    if settings.max_epochs < 1:
        raise UsageError(
            f"trainer.max_epochs: must be 1 or more, got {settings.max_epochs}; the learning rate "
            "needs an end to fall to: for a shorter training set trainer.max_steps or "
            "trainer.max_time beside it"
        )
    if settings.max_steps < 1 and settings.max_steps != -1:
        raise UsageError(
            f"trainer.max_steps: must be 1 or more, got {settings.max_steps}; give -1 to train for "
            f"trainer.max_epochs={settings.max_epochs}"
        )
    if settings.max_time is not None and not _TIME.fullmatch(settings.max_time):
        raise UsageError(
            f"trainer.max_time: expected DD:HH:MM:SS, got {settings.max_time!r}; write eight hours "
            "as 00:08:00:00"
        )


def check_gpu(accelerator: str) -> None:
    """Refuse to train on a GPU if PyTorch finds none.

    Raises:
        UsageError: saying what to set.
    """
    found = torch.cuda.is_available() or (
        accelerator == "gpu" and torch.backends.mps.is_available()
    )
    if accelerator in ("gpu", "cuda") and not found:
        raise UsageError(
            f"trainer.accelerator: {accelerator}, and PyTorch {torch.__version__} finds no GPU; "
            "leave out trainer=gpu, or install a build for your GPU (docs/install.md)"
        )


def make_trainer(
    settings: FitSettings,
    *,
    loggers: list[Logger] | Literal[False],
    callbacks: Sequence[Callback],
) -> L.Trainer:
    """Build the trainer.

    Args:
        settings: of the loop.
        loggers: all loggers; False for none.
        callbacks: all callbacks.

    Raises:
        UsageError: a setting that Lightning does not have.
    """
    try:
        return L.Trainer(
            accelerator=settings.accelerator,
            devices=settings.devices,
            strategy=_strategy(settings.strategy),
            num_nodes=settings.num_nodes,
            precision=settings.precision,  # type: ignore[arg-type]
            max_epochs=settings.max_epochs,
            max_steps=settings.max_steps,
            max_time=settings.max_time,
            accumulate_grad_batches=settings.accumulate_grad_batches,
            gradient_clip_val=settings.gradient_clip_val or None,
            plugins=[
                DurableCheckpoints(),
                *([TimmSyncBatchNorm()] if settings.sync_batchnorm else []),
            ],
            use_distributed_sampler=False,  # IdentityBatches deals batches to the processes itself
            reload_dataloaders_every_n_epochs=1,
            log_every_n_steps=settings.log_every_n_steps,
            logger=loggers,
            callbacks=list(callbacks),
            enable_progress_bar=settings.enable_progress_bar,
            enable_model_summary=False,
            **trainer_extra(settings.extra),
        )
    except (MisconfigurationException, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:_LONGEST_REASON]
        raise UsageError(f"trainer: cannot be made of these keys ({reason})") from error


def _strategy(name: str) -> str | Strategy:
    return DDPStrategy(timeout=_DDP_TIMEOUT) if name == "ddp" else name


def trainer_extra(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``trainer.extra`` as keyword arguments of :class:`lightning.Trainer`.

    Raises:
        UsageError: an argument that the trainer does not have (the nearest are named), that has a
            key of its own, or that this package sets.
    """
    known = set(inspect.signature(L.Trainer.__init__).parameters) - {"self"} - _OWN
    settings = {field.name for field in fields(FitSettings)}
    for name in extra:
        if name in settings:
            raise UsageError(f"trainer.extra.{name}: has a key of its own; set trainer.{name}=")
        if name in _OWN:
            raise UsageError(f"trainer.extra.{name}: is set by asl itself; leave it out")
        if name not in known:
            near = [f"trainer.extra.{other}" for other in known - settings]
            raise unknown_key("train", f"trainer.extra.{name}", near)
    return dict(extra)
