"""What is drawn on top of a view: text, stickers, stripes, holes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from asl.edits.edit import Edit, Rng, check_range, draw
from asl.edits.geometric import random_colour
from asl.edits.view import Pixels, View

_WORDS = """
    the light over a small town at night when we all came home again to see what was left of summer and nobody knew SALE
    NEW wow best day ever LOL follow me @photo 2024 breaking news share this free shipping 50% off why not good morning
    © www.example.org #travel #nature top 10 you will not believe
""".split()  # noqa: SIM905
_Bool = npt.NDArray[np.bool_]


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The TrueType font that comes with Pillow (Aileron, CC0)."""
    return ImageFont.load_default(size)


def sentence(rng: Rng, words: int) -> str:
    """Some words in random order."""
    return " ".join(rng.choice(_WORDS, size=words).tolist())


def write(
    view: View, text: str, where: tuple[int, int], size: int, colour: tuple[int, int, int], outline: bool
) -> tuple[Pixels, _Bool]:
    """Write text on the pixels of a view; returns them and which pixels the glyphs cover."""
    layer = Image.new("L", view.size[::-1], 0)
    pen = ImageDraw.Draw(layer)
    width = max(1, size // 12) if outline else 0
    pen.text(where, text, fill=255, font=font(size), stroke_width=width)
    alpha = np.asarray(layer, dtype=np.uint8)
    image = Image.fromarray(view.image)
    stroke = (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)
    ImageDraw.Draw(image).text(
        where, text, fill=colour, font=font(size), stroke_width=width, stroke_fill=stroke if outline else None
    )
    return np.asarray(image, dtype=np.uint8), alpha > 127


@dataclass
class Text(Edit):
    """Words in a real font, each line ``height`` of the view high."""

    height: Sequence[float] = (0.05, 0.15)
    lines: Sequence[int] = (1, 3)

    def __post_init__(self) -> None:
        check_range("height", self.height, 0.01, 1)

    def __call__(self, view: View, rng: Rng) -> View:
        """Write."""
        height, width = view.size
        size = max(6, round(draw(rng, self.height) * height))
        count = int(rng.integers(self.lines[0], self.lines[1] + 1))
        lines = [sentence(rng, int(rng.integers(1, 5))) for _ in range(count)]
        where = int(rng.integers(-width // 8, max(1, width // 2))), int(rng.integers(0, max(1, height - size)))
        pixels, covered = write(view, "\n".join(lines), where, size, random_colour(rng), bool(rng.random() < 0.5))
        return view.replaced(pixels, self.entry(lines=lines), trace=view.trace.hide(covered))


@lru_cache(maxsize=32)
def sticker(kind: str, side: int) -> tuple[Pixels, _Bool]:
    """A drawn sticker and its opaque pixels: ``smile``, ``heart``, ``star``, ``badge``, ``bubble``, ``arrow``."""
    scale = 4
    n = side * scale
    image = Image.new("RGBA", (n, n), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    if kind == "smile":
        pen.ellipse((0, 0, n - 1, n - 1), fill=(255, 204, 51, 255), outline=(170, 120, 0, 255), width=n // 24)
        for x in (0.3, 0.6):
            pen.ellipse((x * n, 0.28 * n, (x + 0.1) * n, 0.44 * n), fill=(60, 40, 0, 255))
        pen.arc((0.22 * n, 0.25 * n, 0.78 * n, 0.8 * n), 20, 160, fill=(60, 40, 0, 255), width=n // 16)
    elif kind == "heart":
        for x in (0.05, 0.45):
            pen.ellipse((x * n, 0.1 * n, (x + 0.5) * n, 0.6 * n), fill=(225, 40, 60, 255))
        pen.polygon([(0.08 * n, 0.45 * n), (0.92 * n, 0.45 * n), (0.5 * n, 0.95 * n)], fill=(225, 40, 60, 255))
    elif kind == "star":
        angles = np.deg2rad(np.arange(10) * 36 - 90)
        radii = np.where(np.arange(10) % 2, 0.2, 0.5) * n
        points = [(n / 2 + r * np.cos(a), n / 2 + r * np.sin(a)) for r, a in zip(radii, angles, strict=True)]
        pen.polygon(points, fill=(250, 190, 20, 255), outline=(150, 100, 0, 255))
    elif kind == "badge":
        pen.rounded_rectangle((0, 0.25 * n, n - 1, 0.75 * n), n // 8, fill=(30, 90, 200, 255))
        pen.text((0.12 * n, 0.33 * n), "NEW", fill=(255, 255, 255, 255), font=font(max(6, n // 3)))
    elif kind == "bubble":
        pen.ellipse((0, 0, n - 1, 0.75 * n), fill=(255, 255, 255, 255), outline=(0, 0, 0, 255), width=n // 40)
        pen.polygon([(0.25 * n, 0.66 * n), (0.5 * n, 0.7 * n), (0.15 * n, 0.98 * n)], fill=(255, 255, 255, 255))
    else:
        pen.polygon(
            [(0, 0.35 * n), (0.55 * n, 0.35 * n), (0.55 * n, 0.1 * n), (n, 0.5 * n), (0.55 * n, 0.9 * n),
             (0.55 * n, 0.65 * n), (0, 0.65 * n)], fill=(200, 30, 160, 255),
        )  # fmt: skip
    small = np.asarray(image.resize((side, side), Image.Resampling.BOX), dtype=np.uint8)
    return small[..., :3], small[..., 3] > 127


STICKERS = ("smile", "heart", "star", "badge", "bubble", "arrow")


@dataclass
class Sticker(Edit):
    """Emoji-like stickers and logos, each ``side`` of the view's shorter side."""

    side: Sequence[float] = (0.1, 0.4)
    count: Sequence[int] = (1, 2)

    def __post_init__(self) -> None:
        check_range("side", self.side, 0.01, 1)

    def __call__(self, view: View, rng: Rng) -> View:
        """Stick them on."""
        pixels, hidden = view.image.copy(), np.zeros(view.size, dtype=bool)
        kinds = rng.choice(STICKERS, size=int(rng.integers(self.count[0], self.count[1] + 1))).tolist()
        for kind in kinds:
            side = max(6, 2 * round(draw(rng, self.side) * min(view.size) / 2))
            side = min(side, *view.size)
            image, opaque = sticker(kind, side)
            top = int(rng.integers(0, view.size[0] - side + 1))
            left = int(rng.integers(0, view.size[1] - side + 1))
            pixels[top : top + side, left : left + side][opaque] = image[opaque]
            hidden[top : top + side, left : left + side] |= opaque
        return view.replaced(pixels, self.entry(stickers=kinds), trace=view.trace.hide(hidden))


@dataclass
class Stripes(Edit):
    """Lines across the view, ``width`` of its longer side each, straight or smeared by hand."""

    width: Sequence[float] = (0.01, 0.03)
    count: Sequence[int] = (2, 6)
    smear: float = 0.4

    def __post_init__(self) -> None:
        check_range("width", self.width, 0.001, 0.5)

    def __call__(self, view: View, rng: Rng) -> View:
        """Draw them."""
        height, width = view.size
        layer = np.zeros(view.size, np.uint8)
        thickness = max(1, round(draw(rng, self.width) * max(view.size)))
        smear, colour = bool(rng.random() < self.smear), random_colour(rng)
        count = int(rng.integers(self.count[0], self.count[1] + 1))
        for _ in range(count):
            points = rng.uniform(-0.1, 1.1, size=(5 if smear else 2, 2)) * [width, height]
            cv2.polylines(layer, [points.astype(np.int32).reshape(-1, 1, 2)], False, 1, thickness)
        pixels, hidden = view.image.copy(), layer > 0
        pixels[hidden] = colour
        return view.replaced(pixels, self.entry(count=count, smear=smear), trace=view.trace.hide(hidden))


@dataclass
class Erase(Edit):
    """Cut out rectangles of ``area`` (share of the view) each; filled with one colour or with noise."""

    area: Sequence[float] = (0.02, 0.15)
    count: Sequence[int] = (1, 4)

    def __post_init__(self) -> None:
        check_range("area", self.area, 0, 1)

    def __call__(self, view: View, rng: Rng) -> View:
        """Cut out."""
        height, width = view.size
        pixels, hidden = view.image.copy(), np.zeros(view.size, dtype=bool)
        count = int(rng.integers(self.count[0], self.count[1] + 1))
        for _ in range(count):
            area, aspect = draw(rng, self.area), float(np.exp(rng.uniform(-1, 1)))
            h = int(np.clip(round(height * np.sqrt(area / aspect)), 1, height))
            w = int(np.clip(round(width * np.sqrt(area * aspect)), 1, width))
            top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
            noise = rng.random() < 0.3
            fill = (
                rng.integers(0, 256, size=(h, w, 3), dtype=np.uint8)
                if noise
                else np.array(random_colour(rng), np.uint8)
            )
            pixels[top : top + h, left : left + w] = fill
            hidden[top : top + h, left : left + w] = True
        return view.replaced(pixels, self.entry(count=count), trace=view.trace.hide(hidden))
