from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

Image = npt.NDArray[np.uint8]


def textured(seed: int, height: int = 180, width: int = 240) -> Image:
    """A picture with structure at several sizes: smooth noise, discs and bars."""
    rng = np.random.default_rng(seed)
    canvas = np.zeros((height, width, 3), dtype=np.float32)
    for cells, strength in ((4, 60.0), (12, 35.0), (40, 20.0)):
        coarse = rng.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        canvas += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image = np.clip(canvas + 128, 0, 255).astype(np.uint8)
    for _ in range(25):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        if rng.random() < 0.5:
            cv2.circle(image, centre, int(rng.integers(4, 22)), colour, -1, cv2.LINE_AA)
        else:
            corner = (centre[0] + int(rng.integers(5, 40)), centre[1] + int(rng.integers(5, 30)))
            cv2.rectangle(image, centre, corner, colour, -1)
    return image


@pytest.fixture(scope="session")
def picture() -> Image:
    return textured(1)


@pytest.fixture(scope="session")
def other_picture() -> Image:
    return textured(2)
