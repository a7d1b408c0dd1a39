"""Trains class weights in each process of torchrun, whole or split (test_sharded_classes.py)."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch


def class_training(photos: Path, output: Path, **chosen: Any) -> None:
    """Train a classifier and a norm-ratio loss with Adam and clipping."""
    from asl.losses import WeightedSum
    from asl.losses.classification import CosFace
    from asl.losses.norm_ratio import NormRatio
    from tests.training.small_training import train

    torch.manual_seed(3)
    loss = WeightedSum(
        {"cosface": partial(CosFace, scale=8.0), "norm_ratio": NormRatio()},
        {"cosface": 1.0, "norm_ratio": 0.5},
        classes=8,
        dim=512,
        sharded=chosen.pop("sharded", False),
    )
    # A large epsilon: without it, Adam turns the rounding of a tiny gradient into a step.
    adam = partial(torch.optim.Adam, lr=0.01, eps=1.0)
    train(photos, output, loss=loss, optimizer=adam, gradient_clip_val=0.5, **chosen)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    chosen = json.loads(sys.argv[3])
    class_training(Path(sys.argv[1]), Path(sys.argv[2]), devices=2, **chosen)
