"""Edits that draw on a view: text, watermarks, stickers, stripes, marks, covered areas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from asl.edits.drawn.glyphs import font, gibberish, letters, sentence
from asl.edits.drawn.paste import Alpha, paste, random_box
from asl.edits.drawn.stickers import KINDS, sticker
from asl.edits.engine.edit_base import Edit, Rng, check_range, draw
from asl.edits.engine.view import View
from asl.edits.geometric import random_colour
from asl.types import AslError


def solid(alpha: Alpha, colour: Sequence[int]) -> np.ndarray:
    """Create a patch of one colour of the size of a shape."""
    return np.full((*alpha.shape, 3), colour, np.uint8)


@dataclass
class Text(Edit):
    """Write lines of text in one colour, some outlined.

    Attributes:
        height: range of a line's height as a share of the view's height.
        lines: range of the number of lines.
        opacity: range of the text's opacity.
        words: range of the number of words per line.
        signs: maximum number of random characters per line, instead of words; 0 for words.
        fonts: font files to draw from; none for Pillow's own, in four weights and slants.
    """

    height: Sequence[float] = (0.05, 0.15)
    lines: Sequence[int] = (1, 3)
    opacity: Sequence[float] = (1.0, 1.0)
    words: Sequence[int] = (1, 4)
    signs: int = 0
    fonts: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_range("height", self.height, 0.01, 1)
        check_range("lines", self.lines, 1, 20)
        check_range("opacity", self.opacity, 0, 1)
        check_range("words", self.words, 1, 20)
        for path in self.fonts:
            font(12, path)

    def __call__(self, view: View, rng: Rng) -> View:
        """Write."""
        height, width = view.size
        size = int(np.clip(round(draw(rng, self.height) * height), 6, 400))
        text = "\n".join(
            self._line(rng) for _ in range(int(rng.integers(self.lines[0], self.lines[1] + 1)))
        )
        path = self.fonts[int(rng.integers(len(self.fonts)))] if self.fonts else ""
        bold = int(rng.random() < 0.4) * max(1, size // 24)
        slant = 0.25 * float(rng.random() < 0.2)
        alpha = letters(text, size, path, bold=bold, slant=slant)
        colour = random_colour(rng)
        opacity = draw(rng, self.opacity)
        top = int(rng.integers(0, max(1, height - alpha.shape[0] + 1)))
        left = int(
            rng.integers(min(0, width - alpha.shape[1]) // 2, max(1, width - alpha.shape[1] + 1))
        )
        entry = self.entry(text=text, top=top / height, left=left / width, opacity=opacity)
        if rng.random() < 0.4:
            edge = max(1, size // 14)
            around = np.asarray(
                cv2.dilate(np.pad(alpha, edge), np.ones((2 * edge + 1, 2 * edge + 1), np.uint8)),
                np.uint8,
            )
            paper = 0 if sum(colour) > 380 else 255
            patch = solid(around, (paper, paper, paper))
            patch[edge:-edge, edge:-edge][alpha > 127] = colour
            return paste(view, patch, around, top - edge, left - edge, entry, opacity=opacity)
        return paste(view, solid(alpha, colour), alpha, top, left, entry, opacity=opacity)

    def _line(self, rng: Rng) -> str:
        if self.signs:
            return gibberish(rng, int(rng.integers(1, self.signs + 1)))
        return sentence(rng, int(rng.integers(self.words[0], self.words[1] + 1)))


@dataclass
class Watermark(Edit):
    """Repeat one translucent line of text over the whole view.

    Attributes:
        height: range of the line's height as a share of the view's height.
        opacity: range of the text's opacity.
        degrees: range of its rotation.
    """

    LIMITS: ClassVar = {"height": (0.01, 0.5), "opacity": (0, 1), "degrees": (-180, 180)}

    height: Sequence[float] = (0.04, 0.1)
    opacity: Sequence[float] = (0.15, 0.5)
    degrees: Sequence[float] = (-45, 45)

    def __call__(self, view: View, rng: Rng) -> View:
        """Write it all over."""
        size = int(np.clip(round(draw(rng, self.height) * view.size[0]), 6, 200))
        text = sentence(rng, 2)
        opacity = draw(rng, self.opacity)
        degrees = draw(rng, self.degrees)
        word = np.pad(letters(text, size), ((size // 2, size // 2), (size, size)))
        side = int(np.ceil(np.hypot(*view.size)))
        sheet = np.tile(word, (side // word.shape[0] + 1, side // word.shape[1] + 1))
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 1.0)
        turn[:, 2] -= [(side - view.size[1]) / 2, (side - view.size[0]) / 2]
        alpha = np.asarray(
            cv2.warpAffine(sheet, turn, view.size[::-1], borderMode=cv2.BORDER_WRAP), np.uint8
        )
        colour = random_colour(rng)
        entry = self.entry(text=text, degrees=degrees, opacity=opacity)
        return paste(view, solid(alpha, colour), alpha, 0, 0, entry, opacity=opacity)


@dataclass
class Sticker(Edit):
    """Paste emoji-like stickers and logos (:mod:`asl.edits.drawn.stickers`).

    Attributes:
        side: range of a sticker's side as a share of the view's shorter side.
        count: range of the number of stickers.
        opacity: range of their opacity.
        kinds: kinds to draw from.
    """

    side: Sequence[float] = (0.1, 0.4)
    count: Sequence[int] = (1, 2)
    opacity: Sequence[float] = (1.0, 1.0)
    kinds: Sequence[str] = KINDS

    def __post_init__(self) -> None:
        check_range("side", self.side, 0.01, 1)
        check_range("count", self.count, 0, 100)
        check_range("opacity", self.opacity, 0, 1)
        unknown = set(self.kinds) - set(KINDS)
        if unknown or not self.kinds:
            raise AslError(
                f"kinds: expected some of {', '.join(KINDS)}, "
                f"got {', '.join(sorted(unknown)) or 'none'}"
            )

    def __call__(self, view: View, rng: Rng) -> View:
        """Stick them on."""
        for _ in range(int(rng.integers(self.count[0], self.count[1] + 1))):
            kind, seed = self.kinds[int(rng.integers(len(self.kinds)))], int(rng.integers(64))
            # Multiples of 8 pixels, so that cached stickers are reused.
            side = int(np.clip(8 * round(draw(rng, self.side) * min(view.size) / 8), 8, 512))
            opacity = draw(rng, self.opacity)
            image, alpha = sticker(kind, seed, side)
            top = int(rng.integers(-side // 4, max(1, view.size[0] - 3 * side // 4)))
            left = int(rng.integers(-side // 4, max(1, view.size[1] - 3 * side // 4)))
            entry = self.entry(kind=kind, side=side / min(view.size), opacity=opacity)
            view = paste(view, image, alpha, top, left, entry, opacity=opacity)
        return view


@dataclass
class Stripes(Edit):
    """Draw lines across the view.

    Attributes:
        width: range of their width as a share of the longer side.
        count: range of the number of lines.
        smear: probability of one freehand line instead.
    """

    LIMITS: ClassVar = {"width": (0.001, 0.5), "count": (1, 100)}

    width: Sequence[float] = (0.01, 0.03)
    count: Sequence[int] = (2, 6)
    smear: float = 0.4

    def __call__(self, view: View, rng: Rng) -> View:
        """Draw them."""
        height, width = view.size
        alpha = np.zeros(view.size, np.uint8)
        thickness = max(1, round(draw(rng, self.width) * max(view.size)))
        smear, colour = bool(rng.random() < self.smear), random_colour(rng)
        count = int(rng.integers(self.count[0], self.count[1] + 1))
        for _ in range(count):
            points = rng.uniform(-0.1, 1.1, size=(int(rng.integers(5, 20)) if smear else 2, 2)) * [
                width,
                height,
            ]
            cv2.polylines(alpha, [points.astype(np.int32).reshape(-1, 1, 2)], False, 255, thickness)
            if smear:
                break
        entry = self.entry(count=count, smear=smear, width=thickness / max(view.size))
        return paste(view, solid(alpha, colour), alpha, 0, 0, entry)


@dataclass
class Erase(Edit):
    """Erase rectangles: fill them with one colour, or with noise in three of ten cases.

    Attributes:
        area: range of a rectangle's share of the view.
        count: range of the number of rectangles.
    """

    LIMITS: ClassVar = {"area": (0, 1), "count": (0, 1000)}

    area: Sequence[float] = (0.02, 0.15)
    count: Sequence[int] = (1, 4)

    def __call__(self, view: View, rng: Rng) -> View:
        """Cut out."""
        pixels, mask = view.image.copy(), view.trace.valid().copy()
        count = int(rng.integers(self.count[0], self.count[1] + 1))
        for _ in range(count):
            top, left, h, w = random_box(
                rng, view.size, draw(rng, self.area), float(np.exp(rng.uniform(-1, 1)))
            )
            noise = (
                rng.integers(0, 256, size=(h, w, 3), dtype=np.uint8) if rng.random() < 0.3 else None
            )
            pixels[top : top + h, left : left + w] = random_colour(rng) if noise is None else noise
            mask[top : top + h, left : left + w] = 0
        return view.replaced(pixels, self.entry(count=count), trace=view.trace.masked(mask))


@dataclass
class Censor(Edit):
    """Cover lines with bars of one colour, mostly black.

    Attributes:
        height: range of a bar's height as a share of the view's height.
        count: range of the number of bars.
    """

    height: Sequence[float] = (0.02, 0.08)
    count: Sequence[int] = (2, 6)

    def __post_init__(self) -> None:
        check_range("height", self.height, 0, 1)
        check_range("count", self.count, 1, 1000)

    def __call__(self, view: View, rng: Rng) -> View:
        """Cover."""
        height, width = view.size
        pixels, mask = view.image.copy(), view.trace.valid().copy()
        colour = (0, 0, 0) if rng.random() < 0.7 else random_colour(rng)
        count = int(rng.integers(self.count[0], self.count[1] + 1))
        for _ in range(count):
            bar = max(1, round(draw(rng, self.height) * height))
            top, left = int(rng.integers(0, height)), round(draw(rng, (0, 0.5)) * width)
            right = left + max(1, round(draw(rng, (0.15, 0.5)) * width))
            pixels[top : top + bar, left:right] = colour
            mask[top : top + bar, left:right] = 0
        return view.replaced(pixels, self.entry(count=count), trace=view.trace.masked(mask))


@dataclass
class Annotate(Edit):
    """Mark places as with a pen: rings, arrows, underlines, scribbles.

    Attributes:
        count: range of the number of marks.
        width: range of the stroke's width as a share of the shorter side.
    """

    count: Sequence[int] = (1, 4)
    width: Sequence[float] = (0.006, 0.02)

    def __post_init__(self) -> None:
        check_range("count", self.count, 1, 1000)
        check_range("width", self.width, 0, 1)

    def __call__(self, view: View, rng: Rng) -> View:
        """Mark."""
        height, width = view.size
        strokes = np.zeros((height, width), np.uint8)
        count = int(rng.integers(self.count[0], self.count[1] + 1))
        for _ in range(count):
            pen = max(1, round(draw(rng, self.width) * min(view.size)))
            start = rng.uniform(0, (width, height)).astype(int)
            reach = rng.uniform(0.05, 0.3, 2) * (width, height)
            end = (start + reach * rng.choice([-1, 1], 2)).astype(int)
            kind = int(rng.integers(4))
            if kind == 0:
                cv2.ellipse(
                    strokes, start.tolist(), reach.astype(int).tolist(), 0, 0, 360, 255, pen
                )
            elif kind == 1:
                cv2.arrowedLine(strokes, start.tolist(), end.tolist(), 255, pen, tipLength=0.3)
            elif kind == 2:
                cv2.line(strokes, start.tolist(), (int(end[0]), int(start[1])), 255, pen)
            else:
                path = start + np.cumsum(rng.normal(0, reach / 4, (8, 2)), axis=0)
                cv2.polylines(strokes, [path.astype(np.int32)], False, 255, pen)
        colour = [(220, 30, 30), (30, 60, 220), random_colour(rng)][int(rng.integers(3))]
        return paste(view, solid(strokes, colour), strokes, 0, 0, self.entry(count=count))
