"""Draw two shots of one scene, a moment apart."""

from __future__ import annotations

import cv2
import numpy as np

from asl.types import F32
from tests.matching.conftest import Image, textured


def resaved(image: Image, quality: int = 80) -> Image:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def lay(canvas: Image, picture: Image, mask: F32, at: tuple[int, int]) -> None:
    """Lay a picture on a part of the canvas; mask: 0..1, its opacity."""
    x, y = at
    part = canvas[y : y + mask.shape[0], x : x + mask.shape[1]]
    part[:] = (picture * mask[..., None] + part * (1 - mask[..., None])).astype(np.uint8)


def shot(seed: int, moment: int) -> Image:
    """Somebody on the ground before a wall: the camera moves, the ground more than the wall."""
    wall, ground, person = (textured(seed + 100 * part, 260, 360) for part in range(3))
    canvas, near = (
        np.roll(layer, step * moment, axis=1) for layer, step in ((wall, 4), (ground, 14))
    )
    x = np.arange(360)
    horizon = 150 + 7 * np.sin(x / 37 + seed) + 7 * np.sin(x / 11)
    below = np.roll(np.arange(260)[:, None] > horizon, 14 * moment, axis=1).astype(np.float32)
    lay(canvas, near, cv2.GaussianBlur(below, (0, 0), 1), (0, 0))
    body = np.zeros((120, 80), np.float32)
    cv2.ellipse(body, (40, 74), (26, 42), 0, 0, 360, 1, -1, cv2.LINE_AA)
    cv2.circle(body, (42, 20), 16, 1, -1, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((40, 60), 14 * moment, 1 + 0.05 * moment)
    turned = [cv2.warpAffine(layer, turn, (80, 120)) for layer in (person[:120, :80], body)]
    lay(canvas, *turned, (90 + 50 * moment, 90 + 26 * moment))
    noise = np.random.default_rng(7 * seed + moment).normal(0, 3, canvas.shape)
    return resaved(np.clip(canvas + noise, 0, 255).astype(np.uint8)[10:250, 20:340], 92)
