"""Images whose pixels say where they came from, and edits of every family."""

from __future__ import annotations

import numpy as np
import pytest

from asl.edits.engine.foreign_images import Pool


def ramp_image(height: int = 120, width: int = 160) -> np.ndarray:
    """Red grows with x, green with y: every pixel tells its own position."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [x * 255 / (width - 1), y * 255 / (height - 1), np.full((height, width), 128)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def picture(seed: int = 0, height: int = 120, width: int = 160) -> np.ndarray:
    """Smooth colour fields, shapes and a little grain."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, size=(12, 16, 3)).astype(np.float32)
    rows, columns = np.linspace(0, 11, height), np.linspace(0, 15, width)
    fields = coarse[rows.round().astype(int)][:, columns.round().astype(int)]
    return np.clip(fields + rng.normal(0, 6, fields.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def ramp() -> np.ndarray:
    return ramp_image()


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    return picture()


@pytest.fixture(scope="session")
def pool() -> Pool:
    return Pool([picture(seed, 80, 100) for seed in range(1, 6)])
