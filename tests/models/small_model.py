"""A network of milliseconds and images for it, which the tests of this room share."""

from __future__ import annotations

import torch

TINY = {"backbone": "mobilenetv3_small_050", "size": 64, "dim": 16}


def images(count: int = 3, side: int = 64) -> torch.Tensor:
    return torch.randint(
        0,
        256,
        (count, 3, side, side),
        dtype=torch.uint8,
        generator=torch.Generator().manual_seed(0),
    )
