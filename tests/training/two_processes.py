"""Trains a few steps in each process of torchrun; the first one saves (test_distributed.py)."""

from __future__ import annotations

import sys
from pathlib import Path

from safetensors.torch import save_file

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.training.small_training import train

    photos, output = map(Path, sys.argv[1:3])
    devices, identities, steps = map(int, sys.argv[3:])
    module = train(photos, output, identities=identities, devices=devices, max_steps=steps)
    if module.trainer.is_global_zero:
        state = {name: value.contiguous() for name, value in module.embedder.state_dict().items()}
        save_file(state, output / "weights.safetensors")
