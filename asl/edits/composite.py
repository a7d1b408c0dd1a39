"""Edits that combine the view with other images: overlays, blends, collages, screenshots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from PIL import Image, ImageDraw

from asl.edits.drawn.glyphs import font, sentence
from asl.edits.drawn.paste import foreign_image, paste, random_box
from asl.edits.engine.edit_base import Edit, Rng, draw
from asl.edits.engine.view import View
from asl.edits.geometric import random_colour


@dataclass
class OverlayOnto(Edit):
    """Paste the view onto a larger foreign scene.

    Attributes:
        area: range of the view's share of the scene.
        opacity: range of the view's opacity where it is translucent.
        faint: probability that it is translucent.
    """

    LIMITS: ClassVar = {"area": (0.01, 1), "opacity": (0.3, 1)}

    area: Sequence[float] = (0.15, 0.6)
    opacity: Sequence[float] = (0.8, 1.0)
    faint: float = 0.3

    def __call__(self, view: View, rng: Rng) -> View:
        """Paste."""
        area = draw(rng, self.area)
        opacity = draw(rng, self.opacity) if rng.random() < self.faint else 1.0
        height, width = view.size
        stretch = float(np.exp(rng.uniform(-0.3, 0.3)))
        canvas = round(height / np.sqrt(area) * stretch), round(width / np.sqrt(area) / stretch)
        canvas = max(height, canvas[0]), max(width, canvas[1])
        scene = foreign_image(view, rng, canvas).copy()
        top = int(rng.integers(0, canvas[0] - height + 1))
        left = int(rng.integers(0, canvas[1] - width + 1))
        spot = scene[top : top + height, left : left + width]
        scene[top : top + height, left : left + width] = cv2.addWeighted(
            view.image, opacity, spot, 1 - opacity, 0
        )
        trace = view.trace.place(top, left, canvas[0], canvas[1])
        return view.replaced(scene, self.entry(area=area, opacity=opacity), trace=trace)


@dataclass
class ImageOnTop(Edit):
    """Cover a part of the view with a foreign picture.

    Attributes:
        area: range of the covered share of the view.
        opacity: range of the picture's opacity where it is translucent.
        faint: probability that it is translucent.
    """

    LIMITS: ClassVar = {"area": (0, 1), "opacity": (0, 1)}

    area: Sequence[float] = (0.05, 0.4)
    opacity: Sequence[float] = (0.5, 1.0)
    faint: float = 0.3

    def __call__(self, view: View, rng: Rng) -> View:
        """Cover."""
        area, aspect = draw(rng, self.area), float(np.exp(rng.uniform(-0.5, 0.5)))
        opacity = draw(rng, self.opacity) if rng.random() < self.faint else 1.0
        top, left, height, width = random_box(rng, view.size, area, aspect)
        entry = self.entry(
            area=area, opacity=opacity, top=top / view.size[0], left=left / view.size[1]
        )
        return paste(
            view, foreign_image(view, rng, (height, width)), None, top, left, entry, opacity=opacity
        )


@dataclass
class CutMix(Edit):
    """Replace a rectangle of ``area`` by that of another image (CutMix; Yun et al., ICCV 2019)."""

    LIMITS: ClassVar = {"area": (0, 1)}

    area: Sequence[float] = (0.1, 0.5)

    def __call__(self, view: View, rng: Rng) -> View:
        """Replace it."""
        area = draw(rng, self.area)
        top, left, height, width = random_box(rng, view.size, area, 1.0)
        other = foreign_image(view, rng, view.size)[top : top + height, left : left + width]
        return paste(view, other, None, top, left, self.entry(area=area))


@dataclass
class Blend(Edit):
    """Blend the view with a foreign picture (mixup; Zhang et al., ICLR 2018).

    Attributes:
        share: range of the foreign picture's weight.
    """

    LIMITS: ClassVar = {"share": (0, 1)}

    share: Sequence[float] = (0.15, 0.5)

    def __call__(self, view: View, rng: Rng) -> View:
        """Mix."""
        share = draw(rng, self.share)
        other = foreign_image(view, rng, view.size)
        return paste(view, other, None, 0, 0, self.entry(share=share), opacity=share)


@dataclass
class Collage(Edit):
    """Place the view into a mosaic of ``rows`` x ``columns`` pictures, with or without gaps."""

    rows: Sequence[int] = (1, 2)
    columns: Sequence[int] = (1, 2)

    def __call__(self, view: View, rng: Rng) -> View:
        """Tile."""
        rows = int(rng.integers(self.rows[0], self.rows[1] + 1))
        columns = int(rng.integers(self.columns[0], self.columns[1] + 1))
        if rows * columns == 1:
            columns = 2
        height, width = view.size
        gap = round(0.02 * min(view.size)) if rng.random() < 0.5 else 0
        size = rows * height + (rows - 1) * gap, columns * width + (columns - 1) * gap
        canvas = np.full((*size, 3), random_colour(rng), dtype=np.uint8)
        own = int(rng.integers(rows * columns))
        for field in range(rows * columns):
            top, left = field // columns * (height + gap), field % columns * (width + gap)
            picture = view.image if field == own else foreign_image(view, rng, view.size)
            canvas[top : top + height, left : left + width] = picture
        top, left = own // columns * (height + gap), own % columns * (width + gap)
        trace = view.trace.place(top, left, size[0], size[1])
        return view.replaced(canvas, self.entry(rows=rows, columns=columns, field=own), trace=trace)


@dataclass
class Meme(Edit):
    """Add a bar of text above or below the picture, ``bar`` of its height."""

    LIMITS: ClassVar = {"bar": (0.02, 2)}

    bar: Sequence[float] = (0.15, 0.4)

    def __call__(self, view: View, rng: Rng) -> View:
        """Frame."""
        height, width = view.size
        bar = max(8, round(draw(rng, self.bar) * height))
        below, dark = bool(rng.random() < 0.4), bool(rng.random() < 0.4)
        canvas = Image.new("RGB", (width, height + bar), (0, 0, 0) if dark else (255, 255, 255))
        canvas.paste(Image.fromarray(view.image), (0, 0 if below else bar))
        text, size = sentence(rng, int(rng.integers(2, 7))), max(6, round(bar * 0.4))
        where = (round(width * 0.04), (height if below else 0) + round(bar * 0.25))
        ImageDraw.Draw(canvas).text(
            where, text, fill=(255, 255, 255) if dark else (0, 0, 0), font=font(size)
        )
        trace = view.trace.place(0 if below else bar, 0, height + bar, width)
        return view.replaced(
            np.asarray(canvas, np.uint8), self.entry(text=text, below=below), trace=trace
        )


@dataclass
class Screenshot(Edit):
    """Place the view inside an app or a browser: bars, buttons, lines of text.

    Attributes:
        share: range of the view's share of the screenshot.
    """

    LIMITS: ClassVar = {"share": (0.1, 1)}

    share: Sequence[float] = (0.35, 0.75)

    def __call__(self, view: View, rng: Rng) -> View:
        """Frame."""
        share, dark = draw(rng, self.share), bool(rng.random() < 0.4)
        height, width = view.size
        extra = 1 / share - 1
        sides = rng.dirichlet([2.0, 2.0, 0.5, 0.5]) * extra
        top, bottom = round(sides[0] * height) + 4, round(sides[1] * height) + 4
        left, right = round(sides[2] * width), round(sides[3] * width)
        size = height + top + bottom, width + left + right
        paper, ink = ((24, 26, 30), (220, 220, 225)) if dark else ((250, 250, 250), (40, 40, 45))
        canvas = Image.new("RGB", size[::-1], paper)
        pen = ImageDraw.Draw(canvas)
        self._draw_interface(pen, rng, size, (top, bottom), ink)
        canvas.paste(Image.fromarray(view.image), (left, top))
        trace = view.trace.place(top, left, size[0], size[1])
        return view.replaced(
            np.asarray(canvas, np.uint8), self.entry(share=share, dark=dark), trace=trace
        )

    @staticmethod
    def _draw_interface(
        pen: ImageDraw.ImageDraw,
        rng: Rng,
        size: tuple[int, int],
        bars: tuple[int, int],
        ink: tuple[int, int, int],
    ) -> None:
        """Draw a title bar, buttons and lines of text on a screenshot of (height, width)."""
        height, width = size
        accent = tuple(rng.integers(40, 220, size=3).tolist())
        letter = int(np.clip(height * 0.03, 6, 28))
        pen.rectangle((0, 0, width, max(2, bars[0] // 3)), fill=accent)
        pen.text((letter, max(0, bars[0] // 3 + 2)), sentence(rng, 4), fill=ink, font=font(letter))
        start = height - bars[1]
        for number in range(5):
            centre = (int((number + 0.5) * width / 5), start + bars[1] // 4)
            radius = max(2, min(bars[1] // 6, width // 20))
            box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
            pen.ellipse(box, outline=ink, width=max(1, radius // 4))
        for number in range(3):
            where = (letter, start + bars[1] // 2 + round(number * letter * 1.4))
            pen.text(where, sentence(rng, 6), fill=ink, font=font(letter))


@dataclass
class Frame(Edit):
    """Draw a border of ``width`` (share of the shorter side) over the edge of the view."""

    LIMITS: ClassVar = {"width": (0, 0.45)}

    width: Sequence[float] = (0.02, 0.1)

    def __call__(self, view: View, rng: Rng) -> View:
        """Frame."""
        share = draw(rng, self.width)
        edge = max(1, round(share * min(view.size)))
        hidden = np.ones(view.size, dtype=bool)
        hidden[edge:-edge, edge:-edge] = False
        pixels = view.image.copy()
        pixels[hidden] = random_colour(rng)
        return view.replaced(pixels, self.entry(width=share), trace=view.trace.hide(hidden))
