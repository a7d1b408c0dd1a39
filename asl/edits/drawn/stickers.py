"""Emoji-like stickers, drawn from shapes: no image files with licences of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from asl.edits.drawn.glyphs import font
from asl.edits.drawn.paste import Alpha
from asl.edits.engine.edit_base import Rng
from asl.edits.engine.view import Pixels

_SUPERSAMPLING = 3  # drawn this much larger, then averaged
Colour = tuple[int, int, int]
Pen = ImageDraw.ImageDraw
INK: Colour = (60, 40, 20)


def _ellipse(pen: Pen, n: int, box: tuple[float, float, float, float], fill: Colour) -> None:
    pen.ellipse(tuple(side * n for side in box), fill=(*fill, 255))


def _polygon(pen: Pen, n: int, points: list[tuple[float, float]], fill: Colour) -> None:
    pen.polygon([(x * n, y * n) for x, y in points], fill=(*fill, 255))


def _face(pen: Pen, n: int, rng: Rng, colour: Colour) -> None:
    skin = [(255, 204, 51), (255, 170, 60), (120, 200, 90), colour][int(rng.integers(4))]
    pen.ellipse((0, 0, n - 1, n - 1), fill=(*skin, 255), outline=(*INK, 255), width=max(1, n // 30))
    eyes, mouth = int(rng.integers(4)), int(rng.integers(5))
    for x in (0.28, 0.62):
        if eyes == 0:
            _ellipse(pen, n, (x, 0.27, x + 0.11, 0.44), INK)
        elif eyes == 1:
            _ellipse(pen, n, (x - 0.04, 0.25, x + 0.16, 0.45), (255, 255, 255))
            _ellipse(pen, n, (x + 0.03, 0.31, x + 0.11, 0.4), INK)
        elif eyes == 2:
            pen.arc(
                (x * n - 0.04 * n, 0.28 * n, (x + 0.16) * n, 0.46 * n),
                180,
                360,
                fill=(*INK, 255),
                width=n // 18,
            )
        else:
            _heart(pen, n, rng, (220, 40, 60), centre=(x + 0.05, 0.36), size=0.24)
    if mouth == 0:
        pen.arc((0.22 * n, 0.25 * n, 0.78 * n, 0.8 * n), 20, 160, fill=(*INK, 255), width=n // 16)
    elif mouth == 1:
        pen.chord((0.24 * n, 0.35 * n, 0.76 * n, 0.85 * n), 0, 180, fill=(120, 30, 30, 255))
    elif mouth == 2:
        _ellipse(pen, n, (0.4, 0.58, 0.6, 0.82), INK)
    elif mouth == 3:
        pen.line((0.3 * n, 0.68 * n, 0.7 * n, 0.68 * n), fill=(*INK, 255), width=n // 16)
    else:
        pen.arc((0.28 * n, 0.6 * n, 0.72 * n, 0.95 * n), 200, 340, fill=(*INK, 255), width=n // 16)
    if rng.random() < 0.3:
        pen.rounded_rectangle(
            (0.12 * n, 0.26 * n, 0.88 * n, 0.42 * n), n // 20, fill=(20, 20, 25, 255)
        )


def _heart(
    pen: Pen,
    n: int,
    rng: Rng,
    colour: Colour,
    *,
    centre: tuple[float, float] = (0.5, 0.5),
    size: float = 1.0,
) -> None:
    x, y = centre[0] - size / 2, centre[1] - size / 2
    for start in (0.04, 0.46):
        _ellipse(
            pen,
            n,
            (x + start * size, y + 0.1 * size, x + (start + 0.5) * size, y + 0.6 * size),
            colour,
        )
    points = [(0.08, 0.46), (0.92, 0.46), (0.5, 0.96)]
    _polygon(pen, n, [(x + a * size, y + b * size) for a, b in points], colour)


def _star(pen: Pen, n: int, rng: Rng, colour: Colour) -> None:
    tips, inner = int(rng.integers(4, 13)), float(rng.uniform(0.18, 0.42))
    angles = np.arange(2 * tips) * np.pi / tips - np.pi / 2
    radii = np.where(np.arange(2 * tips) % 2, inner, 0.5)
    _polygon(
        pen,
        n,
        [(0.5 + r * np.cos(a), 0.5 + r * np.sin(a)) for r, a in zip(radii, angles, strict=True)],
        colour,
    )


def _badge(pen: Pen, n: int, rng: Rng, colour: Colour) -> None:
    word = str(rng.choice(["NEW", "HOT", "WOW", "SALE", "TOP", "LIVE", "HD", "OK", "1st", "-50%"]))
    pen.rounded_rectangle((0, 0.22 * n, n - 1, 0.78 * n), n // 8, fill=(*colour, 255))
    paper = (0, 0, 0, 255) if sum(colour) > 450 else (255, 255, 255, 255)
    pen.text((n / 2, n / 2), word, fill=paper, font=font(max(6, round(n * 0.3))), anchor="mm")


def _bubble(pen: Pen, n: int, rng: Rng, colour: Colour) -> None:
    pen.ellipse(
        (0, 0, n - 1, 0.75 * n),
        fill=(255, 255, 255, 255),
        outline=(0, 0, 0, 255),
        width=max(1, n // 40),
    )
    _polygon(pen, n, [(0.25, 0.68), (0.5, 0.72), (0.15, 0.98)], (255, 255, 255))
    pen.text(
        (n / 2, 0.37 * n),
        str(rng.choice(["hi!", "?!", "...", "no", "yes"])),
        fill=(*INK, 255),
        font=font(n // 4),
        anchor="mm",
    )


def _arrow(pen: Pen, n: int, rng: Rng, colour: Colour) -> None:
    half = [(0.0, 0.36), (0.55, 0.36), (0.55, 0.1), (1.0, 0.5)]
    points = half + [(x, 1 - y) for x, y in half[-2::-1]]
    turn = int(rng.integers(4))
    for _ in range(turn):
        points = [(y, 1 - x) for x, y in points]
    _polygon(pen, n, points, colour)


def _logo(pen: Pen, n: int, rng: Rng, colour: Colour) -> None:
    other: Colour = (255 - colour[0], 255 - colour[1], 255 - colour[2])
    if rng.random() < 0.5:
        pen.rounded_rectangle((0, 0, n - 1, n - 1), n // 5, fill=(*colour, 255))
    else:
        pen.ellipse((0, 0, n - 1, n - 1), fill=(*colour, 255))
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.uniform(0.1, 0.5, size=2)
        side = rng.uniform(0.2, 0.4)
        start, end = sorted(rng.uniform(0, 360, 2).tolist())
        pen.pieslice((x * n, y * n, (x + side) * n, (y + side) * n), start, end, fill=(*other, 255))
    pen.text(
        (n / 2, n / 2),
        "ABCDEFGHKMNPQRSTVWXYZ"[int(rng.integers(21))],
        fill=(*other, 255),
        font=font(n // 2),
        anchor="mm",
    )


def _tick(pen: Pen, n: int, rng: Rng, colour: Colour) -> None:
    pen.ellipse((0, 0, n - 1, n - 1), fill=(*colour, 255))
    cross = rng.random() < 0.5
    lines = (
        [((0.28, 0.28), (0.72, 0.72)), ((0.28, 0.72), (0.72, 0.28))]
        if cross
        else [((0.25, 0.5), (0.45, 0.7)), ((0.45, 0.7), (0.78, 0.3))]
    )
    for start, end in lines:
        pen.line([(x * n, y * n) for x, y in (start, end)], fill=(255, 255, 255, 255), width=n // 9)


_DRAWERS: dict[str, Callable[[Pen, int, Rng, Colour], None]] = {
    "face": _face,
    "heart": _heart,
    "star": _star,
    "badge": _badge,
    "bubble": _bubble,
    "arrow": _arrow,
    "logo": _logo,
    "tick": _tick,
}
KINDS = tuple(_DRAWERS)


@lru_cache(maxsize=256)
def sticker(kind: str, seed: int, side: int) -> tuple[Pixels, Alpha]:
    """Draw a sticker.

    Args:
        kind: one of ``KINDS``.
        seed: of its features and colours.
        side: of the square, in pixels.

    Returns:
        RGB, uint8 ``[side, side, 3]``, and its shape, uint8 ``[side, side]`` 0..255; read-only.
    """
    n, rng = side * _SUPERSAMPLING, np.random.default_rng(seed)
    image = Image.new("RGBA", (n, n), (0, 0, 0, 0))
    red, green, blue = rng.integers(20, 256, size=3).tolist()
    _DRAWERS[kind](ImageDraw.Draw(image), n, rng, (red, green, blue))
    small = np.array(image.reduce(_SUPERSAMPLING), dtype=np.uint8)
    small.flags.writeable = False
    return small[..., :3], small[..., 3]
