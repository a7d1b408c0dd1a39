"""Loggers of a training: metrics.csv, and one of the field's trackers beside it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import (
    Logger,
    MLFlowLogger,
    TensorBoardLogger,
    WandbLogger,
)

from asl.storage import printable_name
from asl.training.metrics_file import MetricsFile
from asl.types import AslError, UsageError

# Name -> module that has to be installed.
LOGGERS = {
    "csv": "",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "none": "",
}


def check_logger(name: str, *, output: str | Path | None = None) -> None:
    """Refuse an unknown logger, one whose package is missing, or one that cannot write to a folder.

    Args:
        name: of the logger.
        output: folder of the training, where it is known.

    Raises:
        UsageError: there is none of that name, or the name of the folder is not UTF-8.
        AslError: its package is not installed; the error has the command that installs it.
    """
    if name not in LOGGERS:
        raise UsageError(f"trainer.logger: expected one of {', '.join(LOGGERS)}, got {name!r}")
    if LOGGERS[name] and find_spec(LOGGERS[name]) is None:
        raise AslError(f"trainer.logger: {name} is not installed; run `pip install {name}`")
    shown = printable_name(str(output))
    if name == "tensorboard" and shown != str(output):
        raise UsageError(
            f"output: TensorBoard writes to no folder whose name is not UTF-8, got {shown}; choose "
            "another, or set trainer.logger=csv"
        )


def make_loggers(
    name: str, output: Path, *, resumed_step: int | None = None
) -> list[Logger] | Literal[False]:
    """Make the loggers of a training.

    Args:
        name: of a tracker beside ``metrics.csv``; ``csv`` for that file alone.
        output: folder of the training.
        resumed_step: optimiser steps of the checkpoint that is resumed, or None.

    Returns:
        ``metrics.csv`` and the named logger; False for ``none``.
    """
    check_logger(name)
    if name == "none":
        return False
    makers: dict[str, Any] = {
        "tensorboard": lambda: TensorBoardLogger(output, name="logs", version=""),
        "wandb": lambda: WandbLogger(save_dir=output, project="asl", name=output.name),
        "mlflow": lambda: MLFlowLogger(
            "asl", run_name=output.name, save_dir=str(output / "mlruns")
        ),
    }
    loggers: list[Logger] = [MetricsFile(output / "metrics.csv", resumed_step=resumed_step)]
    return [*loggers, makers[name]()] if name in makers else loggers
