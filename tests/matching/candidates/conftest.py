"""A small quantiser, and images whose local features are drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.quantiser import Quantiser

ROOTS, LEAVES, AXES, BITS, DIM = 5, 6, 16, 64, 32


@pytest.fixture
def quantiser() -> Quantiser:
    """A quantiser of 30 lists for descriptors of 32 components."""
    rng = np.random.default_rng(7)

    def integers(most: int, *shape: int) -> np.ndarray:
        return rng.integers(-most, most + 1, shape).astype(np.float32)

    return Quantiser(
        mean=np.full(DIM, 60, np.float32),
        axes=integers(127, DIM, AXES),
        unit=700.0,
        roots=integers(20, ROOTS, AXES),
        leaves=integers(30, ROOTS, LEAVES, AXES),
        rotation=integers(127, AXES, BITS),
        card="drawn",
        id="drawn",
    )


@pytest.fixture
def draw() -> Callable[..., LocalFeatures]:
    """Draw the features of an image."""
    rng = np.random.default_rng(1)

    def features(count: int, dim: int = DIM) -> LocalFeatures:
        return LocalFeatures(
            rng.uniform(2, 60, count).astype(np.float32),
            rng.uniform(0, 360, count).astype(np.float32),
            rng.integers(0, 121, (count, dim)).astype(np.uint8),
        )

    return features
