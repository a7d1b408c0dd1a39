"""Resizing averages where the image shrinks, and interpolates where it grows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from asl.edits.engine.scaling import scaled

ROOT = Path(__file__).resolve().parents[3]


def test_scaling_down_averages(photo: np.ndarray) -> None:
    assert scaled(photo, 120, 160) is photo
    for factor in (2, 4):
        blocks = photo.reshape(120 // factor, factor, 160 // factor, factor, 3)
        small = scaled(photo, 120 // factor, 160 // factor)
        assert np.abs(small - blocks.mean(axis=(1, 3))).max() <= 1.1  # rounded at every halving
    assert scaled(photo, 50, 301).shape == (50, 301, 3)


def test_growing_is_bilinear(photo: np.ndarray) -> None:
    larger = cv2.resize(photo, (400, 300), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(scaled(photo, 300, 400), larger)


@pytest.mark.parametrize("across", [4, 8, 20])
@pytest.mark.parametrize("height", [10, 20, 60])
def test_a_side_that_shrinks_much_alone_is_averaged(across: int, height: int) -> None:
    rng = np.random.default_rng(across)
    strip = rng.integers(0, 256, (20, 32 * across, 3), dtype=np.uint8)
    for image, size in (
        (strip, (height, 32)),
        (np.ascontiguousarray(strip.transpose(1, 0, 2)), (32, height)),
    ):
        small = scaled(image, *size)
        assert small.shape == (*size, 3)
        # Noise that is averaged: its spread falls with the root of the pixels averaged.
        assert small.std() < 2 * image.std() / across**0.5


def test_the_code_that_the_documentation_shows_for_exported_models_does_the_same() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    code = re.search(r"def resized.*?INTER_LINEAR\)\n", page, re.DOTALL)
    assert code
    shown: dict[str, Any] = {"cv2": cv2}
    exec(code[0], shown)
    rng = np.random.default_rng(0)
    for _ in range(60):
        height, width, *size = (
            int(n) for n in (*rng.integers(2, 900, 2), *rng.integers(2, 300, 2))
        )
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        assert np.array_equal(shown["resized"](image, *size), scaled(image, *size))
