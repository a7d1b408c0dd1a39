"""Trainings in processes of their own, which tests start, stop and kill."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_only
from safetensors.torch import save_file

from asl.data.training_set import HardPairs, PairsAs
from asl.losses import WeightedSum
from asl.losses.contrastive import InfoNCE
from asl.losses.hard_pairs import HoldTogether, PushApart
from asl.losses.norm_ratio import NormRatio
from asl.training.checkpoints import DurableCheckpoints
from asl.training.module import CopyDetectionModule
from tests.training.small_training import KillAt, train, weights

# 0.4 M parameters: a kill costs a second.
SMALL: dict[str, Any] = {"identities": 2, "backbone": "test_resnet", "logger": "csv"}


def train_to_the_end(photos: Path, output: Path) -> None:
    """Train with a save after every step; write the final weights."""
    be_quiet()
    module = train(photos, output, **SMALL, ema=0.9, max_epochs=3, save_every_n_steps=1)
    save_weights(module, output)


def train_and_stop(
    rank: int, port: int, photos: Path, output: Path, stopped: tuple[int, ...]
) -> None:
    """Train as one of two processes; those of ``stopped`` get SIGTERM after the first step."""
    join_group(rank, port)
    count_writes(output / f"writes-{rank}.txt")
    callbacks = (KillAt(1, signal.SIGTERM),) if rank in stopped else ()
    module = train(photos, output, **SMALL, devices=2, max_epochs=2, callbacks=callbacks)
    if rank == 0:
        save_weights(module, output)


def train_on_pairs(rank: int, port: int, photos: Path, output: Path, role: PairsAs) -> None:
    """Take two steps as one of two processes, with a hard pair in each batch.

    Further steps multiply what roundings differ by.
    """
    join_group(rank, port)
    settings = {**with_pairs(role), "max_steps": 2, "devices": 2}
    module = train(photos, output, **settings, identities=4, pairs=1)
    if rank == 0:
        save_weights(module, output)


def with_pairs(role: PairsAs) -> dict[str, Any]:
    """Three hard pairs among eight photographs, and losses that use them."""
    pairs = HardPairs(np.array([[0, 1], [2, 5], [6, 3]]), np.array([True, False, True]), role)
    on_pairs = {"negatives": PushApart(margin=-1.0), "positives": HoldTogether()}
    parts = {"infonce": InfoNCE(), "norm_ratio": NormRatio(), "pairs": on_pairs[role]}
    loss = WeightedSum(parts, dict.fromkeys(parts, 1.0))
    return {"hard_pairs": pairs, "loss": loss, "backbone": "test_resnet", "logger": "csv"}


def join_group(rank: int, port: int) -> None:
    """Be one of two processes, as a launcher would start it."""
    be_quiet()
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0")
    rank_zero_only.rank = rank  # Lightning reads it when it is imported


def be_quiet() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def count_writes(record: Path) -> None:
    """Record the step of every checkpoint that this process writes."""
    save = DurableCheckpoints.save_checkpoint

    def counted(self: DurableCheckpoints, checkpoint: dict[str, Any], path: str, **_: Any) -> None:
        record.parent.mkdir(parents=True, exist_ok=True)
        with record.open("a") as file:
            file.write(f"{checkpoint['global_step']}\n")
        save(self, checkpoint, path)

    DurableCheckpoints.save_checkpoint = counted  # type: ignore[method-assign]


def save_weights(module: CopyDetectionModule, output: Path) -> None:
    state = {name: value.contiguous() for name, value in weights(module).items()}
    save_file(state, output / "final.part")
    (output / "final.part").replace(output / "final.safetensors")
