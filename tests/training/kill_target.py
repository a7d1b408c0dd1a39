"""Trainings that the kill campaign of test_saving.py starts and kills."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors.torch import save_file

from tests.training.small_training import train, weights


def train_to_the_end(photos: Path, output: Path) -> None:
    """Train with a save after every step; write the final weights."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    module = train(photos, output, identities=2, ema=0.9, max_epochs=3, save_every_n_steps=1)
    state = {name: value.contiguous() for name, value in weights(module).items()}
    save_file(state, output / "final.part")
    (output / "final.part").replace(output / "final.safetensors")
