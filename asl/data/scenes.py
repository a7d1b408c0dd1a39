"""Generated scenes in place of photographs, so that training needs no download.

A scene is a sky, a ground and a few textured objects at different depths, all drawn from one seed.
It can be rendered from another viewpoint: near objects move more than far ones and the light
changes. Such a second view shares colours and layout with the first and is *not* a copy of it: a
hard negative in the sense of NDEC.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from asl.types import F32, F64, I32, U8

Image = U8


@dataclass(frozen=True)
class _Layer:
    kind: str  # ellipse, polygon or facade
    centre: tuple[float, float]  # in units of the image, x and y
    radius: float
    depth: float  # 0 far .. 1 near: how far it moves between looks
    colour: tuple[float, float, float]
    texture: int
    angle: float


def render_scene(seed: int, *, look: int = 0, height: int = 240, width: int = 320) -> Image:
    """Render one scene.

    Args:
        seed: of objects, places, colours and textures.
        look: viewpoint; 0 is the photograph, other numbers are other photographs of the same place.
        height: in pixels.
        width: in pixels.

    Returns:
        uint8 ``[height, width, 3]`` RGB, the same bytes for the same arguments.
    """
    rng = np.random.default_rng([seed, 1])
    base, ground = _palette(rng)
    horizon = float(rng.uniform(0.35, 0.7))
    layers = sorted(
        (_random_layer(rng, horizon) for _ in range(int(rng.integers(6, 11)))),
        key=lambda it: it.depth,
    )
    camera = np.random.default_rng([seed, 2, look])
    shift = camera.uniform(-0.16, 0.16, 2) * (look != 0)
    canvas = _backdrop(seed, base, ground, horizon + 0.1 * float(shift[1]), (height, width))
    for number, layer in enumerate(layers):
        wiggle = camera.normal(0, 0.015, 2) * (look != 0)
        _paint(canvas, layer, seed * 64 + number, shift * (0.3 + layer.depth) + wiggle)
    light = 1 + 0.15 * float(camera.normal()) * (look != 0)
    grain = camera.normal(0, 3.0, canvas.shape).astype(np.float32)
    image: Image = np.clip(canvas * light + grain, 0, 255).astype(np.uint8)
    return image


def _palette(rng: np.random.Generator) -> tuple[F32, F32]:
    return rng.uniform(90, 235, 3).astype(np.float32), rng.uniform(30, 170, 3).astype(np.float32)


def _random_layer(rng: np.random.Generator, horizon: float) -> _Layer:
    depth = float(rng.uniform(0, 1))
    r, g, b = rng.uniform(20, 240, 3)
    return _Layer(
        kind=str(rng.choice(["ellipse", "polygon", "facade"])),
        centre=(
            float(rng.uniform(0.05, 0.95)),
            float(np.clip(horizon + rng.normal(0, 0.15) + 0.2 * depth, 0.1, 0.95)),
        ),
        radius=float(rng.uniform(0.06, 0.13) * (1 + 1.3 * depth)),
        depth=depth,
        colour=(float(r), float(g), float(b)),
        texture=int(rng.integers(1 << 30)),
        angle=float(rng.uniform(0, 180)),
    )


def _noise(rng: np.random.Generator, shape: tuple[int, int], octaves: tuple[int, ...]) -> F32:
    """Draw fractal noise around 0: grids from coarse to fine, each half as strong as the last."""
    height, width = shape
    total = np.zeros(shape, np.float32)
    for power, cells in enumerate(octaves):
        grid = rng.normal(0, 1, (max(2, cells * height // width), cells)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / 2**power
    return total


def _backdrop(seed: int, sky: F32, ground: F32, horizon: float, shape: tuple[int, int]) -> F32:
    height, width = shape
    rng = np.random.default_rng([seed, 3])
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    upper = (
        sky * (0.7 + 0.3 * rows / max(horizon, 0.1)) + 14 * _noise(rng, shape, (4, 9))[..., None]
    )
    lower = ground * (0.6 + 0.6 * rows) + 22 * _noise(rng, shape, (16, 48, 120))[..., None]
    edge = horizon + 0.02 * _noise(rng, (2, width), (6, 24))[0][None, :, None]
    return np.where(rows < edge, upper, lower).astype(np.float32)


def _paint(canvas: F32, layer: _Layer, seed: int, shift: F64) -> None:
    height, width = canvas.shape[:2]
    rng = np.random.default_rng([seed, 4])
    centre = np.array([(layer.centre[0] + shift[0]) * width, (layer.centre[1] + shift[1]) * height])
    radius = layer.radius * width
    mask = np.zeros((height, width), np.uint8)
    if layer.kind == "ellipse":
        axes = (int(radius), int(radius * rng.uniform(0.5, 1)))
        cv2.ellipse(
            mask, centre.astype(int).tolist(), axes, layer.angle, 0, 360, 255, -1, cv2.LINE_AA
        )
    else:
        corners = 4 if layer.kind == "facade" else int(rng.integers(3, 8))
        cv2.fillPoly(mask, [_outline(rng, centre, radius, corners)], 255, cv2.LINE_AA)
    x, y, box_width, box_height = cv2.boundingRect(mask)
    if not box_width:  # moved out of the picture
        return
    window = (slice(y, y + box_height), slice(x, x + box_width))
    shade = _texture(layer, rng, centre - (x, y), radius, (box_height, box_width))
    alpha = mask[window][..., None].astype(np.float32) / 255
    canvas[window] += alpha * (
        np.array(layer.colour, np.float32) * shade[..., None] - canvas[window]
    )


def _outline(rng: np.random.Generator, centre: F64, radius: float, corners: int) -> I32:
    turn = (
        np.sort(rng.uniform(0, 2 * np.pi, corners))
        if corners != 4
        else np.pi / 4 + np.pi / 2 * np.arange(4)
    )
    reach = radius * (rng.uniform(0.6, 1.2, corners) if corners != 4 else 1.0)
    points = centre + np.stack([np.cos(turn) * reach, np.sin(turn) * reach], axis=1)
    outline: I32 = np.round(points).astype(np.int32)
    return outline


def _texture(
    layer: _Layer,
    rng: np.random.Generator,
    centre: F64,
    radius: float,
    shape: tuple[int, int],
) -> F32:
    """Return brightness factors fixed to the object: its texture moves with it between views."""
    height, width = shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (columns - centre[0]) / radius, (rows - centre[1]) / radius
    fine = cv2.remap(
        _noise(np.random.default_rng(layer.texture), (128, 128), (6, 18, 48)),
        ((x + 1.5) * 42).astype(np.float32),
        ((y + 1.5) * 42).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    pattern: F32 = 1 + np.float32(0.16) * fine
    count = np.float32(rng.uniform(3, 7))
    if layer.kind == "facade":
        windows = (np.mod(x * count, 1) > 0.35) & (np.mod(y * count, 1) > 0.4)
        pattern = pattern * np.where(windows, np.float32(0.45), np.float32(1))
    elif layer.texture % 3 == 0:
        slope = np.deg2rad(np.float32(layer.angle))
        turned = x * np.cos(slope) + y * np.sin(slope)
        pattern = pattern * (1 + np.float32(0.35) * np.sign(np.sin(turned * count * 3)))
    return pattern
