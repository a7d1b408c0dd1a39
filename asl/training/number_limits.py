"""Least values of the numbers of a training, checked before anything is opened."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from asl.console.configuration import flatten_values
from asl.console.schemas.train_config import TrainConfig
from asl.types import UsageError

LEAST = {
    "seed": 0,
    "data.every": 1,
    "data.grid": 0,
    "data.workers": 0,
    "model.dim": 1,
    "trainer.accumulate_grad_batches": 1,
    "trainer.backbone_rate": 0,
    "trainer.check_every": 0,
    "trainer.gradient_clip_val": 0,
    "trainer.log_every_n_steps": 0,
    "trainer.num_nodes": 1,
    "trainer.patience": 0,
    "trainer.save_every_minutes": 0,
    "trainer.save_every_n_steps": 0,
}


def check_limits(config: TrainConfig) -> None:
    """Refuse numbers that no training can have.

    Raises:
        UsageError: a value is below its least, or a weight of a loss is not finite; the key is
            named.
    """
    values: dict[str, Any] = flatten_values(asdict(config))
    for key, least in LEAST.items():
        value = values.get(key)
        if isinstance(value, int | float) and not value >= least:
            raise UsageError(f"{key}: must be {least} or more, got {value}")
    for name, weight in config.loss.get("weights", {}).items():
        _check_weight(f"loss.weights.{name}", weight)


def _check_weight(key: str, value: object) -> None:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{key}: expected a finite number, got {value}")
