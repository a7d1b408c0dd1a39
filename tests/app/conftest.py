from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def textured(seed: int, height: int = 300, width: int = 400) -> Pixels:
    """A picture with structure at several sizes: smooth noise, discs and bars."""
    rng = np.random.default_rng(seed)
    canvas = np.zeros((height, width, 3), dtype=np.float32)
    for cells, strength in ((4, 60.0), (12, 35.0), (40, 20.0)):
        coarse = rng.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        canvas += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image = np.clip(canvas + 128, 0, 255).astype(np.uint8)
    for _ in range(60):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        if rng.random() < 0.5:
            cv2.circle(image, centre, int(rng.integers(4, 22)), colour, -1, cv2.LINE_AA)
        else:
            corner = (centre[0] + int(rng.integers(5, 40)), centre[1] + int(rng.integers(5, 30)))
            cv2.rectangle(image, centre, corner, colour, -1)
    return image


def encode(image: Pixels, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def crop(image: Pixels) -> Pixels:
    """The middle 60 % of each side."""
    height, width = image.shape[:2]
    return np.ascontiguousarray(
        image[height // 5 : height - height // 5, width // 5 : width - width // 5]
    )


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")


def write_photos(folder: Path) -> Path:
    """Five unrelated pictures, a crop, one in another format, a text file and a broken image."""
    (folder / "sub").mkdir(parents=True)
    for seed in range(5):
        (folder / f"p{seed}.jpg").write_bytes(encode(textured(seed), quality=95))
    (folder / "sub" / "crop-of-0.jpg").write_bytes(encode(crop(textured(0)), quality=90))
    (folder / "sub" / "small-1.png").write_bytes(encode(cv2.resize(textured(1), (200, 150)), "PNG"))
    (folder / "notes.txt").write_text("no image")
    (folder / "broken.jpg").write_bytes(encode(textured(9))[:3000])
    return folder
