"""Filters of apps and screens: tint, fade, vignette, halftone, moire, cartoon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from asl.edits.engine.edit_base import Edit, Rng, draw
from asl.edits.engine.trace import pixel_grid
from asl.edits.engine.view import Gray, View
from asl.edits.geometric import random_colour


@dataclass
class Tint(Edit):
    """Map brightness to three random colours (dark, middle, light), mixed in by ``share``."""

    LIMITS: ClassVar = {"share": (0, 1)}

    share: Sequence[float] = (0.3, 1.0)

    def __call__(self, view: View, rng: Rng) -> View:
        """Paint."""
        share = draw(rng, self.share)
        colours = np.stack([rng.integers(low, low + 96, size=3) for low in (0, 80, 160)]).astype(
            np.float64
        )
        table = np.stack(
            [np.interp(np.arange(256), [0, 128, 255], colours[:, c]) for c in range(3)], axis=-1
        )
        gray = cv2.cvtColor(cv2.cvtColor(view.image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        painted = cv2.LUT(gray, table.astype(np.uint8)[None])
        pixels = cv2.addWeighted(painted, share, view.image, 1 - share, 0)
        return view.replaced(pixels, self.entry(share=share, colours=colours.astype(int).tolist()))


@dataclass
class Fade(Edit):
    """Fade the picture towards one colour; ``share`` of it is left."""

    LIMITS: ClassVar = {"share": (0, 1)}

    share: Sequence[float] = (0.3, 0.8)

    def __call__(self, view: View, rng: Rng) -> View:
        """Fade."""
        share, colour = draw(rng, self.share), random_colour(rng)
        level = np.arange(256)[:, None] * share + np.array(colour) * (1 - share)
        pixels = cv2.LUT(view.image, np.round(level).astype(np.uint8)[None])
        return view.replaced(pixels, self.entry(share=share, colour=list(colour)))


@dataclass
class Darken(Edit):
    """Multiply the brightness by ``factor``: a night shot, or above 1 an overexposed one."""

    LIMITS: ClassVar = {"factor": (0.02, 10)}

    factor: Sequence[float] = (0.1, 0.5)

    def __call__(self, view: View, rng: Rng) -> View:
        """Darken or lighten."""
        factor = draw(rng, self.factor)
        return view.replaced(
            cv2.convertScaleAbs(view.image, alpha=factor), self.entry(factor=factor)
        )


@dataclass
class Vignette(Edit):
    """Darken or lighten towards the corners.

    Attributes:
        strength: range of the change at the corners, 0..1.
        light: probability of lightening.
    """

    LIMITS: ClassVar = {"strength": (0, 1)}

    strength: Sequence[float] = (0.3, 0.8)
    light: float = 0.2

    def __call__(self, view: View, rng: Rng) -> View:
        """Shade."""
        strength, light = draw(rng, self.strength), bool(rng.random() < self.light)
        rows, columns = (np.linspace(-1, 1, length, dtype=np.float32) for length in view.size)
        shade = (rows[:, None] ** 2 + columns[None] ** 2) / 2 * np.float32(strength)
        end = np.float32(255 if light else 0)
        pixels = view.image + shade[..., None] * (end - view.image.astype(np.float32))
        return view.replaced(pixels.astype(np.uint8), self.entry(strength=strength, light=light))


@dataclass
class Moire(Edit):
    """Add moire of a photographed screen: slightly coloured bands.

    Attributes:
        period: range of the period in percent of the longer side.
        strength: range of the relative change of brightness.
    """

    LIMITS: ClassVar = {"period": (0.2, 50), "strength": (0, 1)}

    period: Sequence[float] = (0.7, 3.0)
    strength: Sequence[float] = (0.05, 0.25)

    def __call__(self, view: View, rng: Rng) -> View:
        """Add bands."""
        period, strength = draw(rng, self.period), draw(rng, self.strength)
        angle, bend = draw(rng, (0, 2 * np.pi)), draw(rng, (0, 0.5))
        grid = pixel_grid(view.size) * np.float32(200 * np.pi / period / max(view.size))
        phase = grid[..., 0] * np.cos(angle) + grid[..., 1] * np.sin(angle)
        phase = phase + bend * np.sin(phase / 7)
        bands = np.stack([np.sin(phase + channel * 0.7) for channel in range(3)], axis=-1)
        pixels = view.image * (1 + np.float32(strength) * bands.astype(np.float32))
        return view.replaced(
            np.clip(pixels, 0, 255).astype(np.uint8), self.entry(period=period, strength=strength)
        )


@dataclass
class Halftone(Edit):
    """Print with halftone dots.

    Attributes:
        dots: range of the number of dots along the longer side.
        gray: probability of black and white.
    """

    LIMITS: ClassVar = {"dots": (8, 2000)}

    dots: Sequence[float] = (50, 120)
    gray: float = 0.5

    def __call__(self, view: View, rng: Rng) -> View:
        """Print."""
        dots, gray = draw(rng, self.dots), bool(rng.random() < self.gray)
        grid = pixel_grid(view.size) * np.float32(2 * np.pi * dots / max(view.size))
        u = (grid[..., 0] + grid[..., 1]) / np.sqrt(np.float32(2))
        v = (grid[..., 0] - grid[..., 1]) / np.sqrt(np.float32(2))
        screen: Gray = (np.cos(u) * np.cos(v) + 1) * np.float32(127.5)
        image = cv2.cvtColor(view.image, cv2.COLOR_RGB2GRAY)[..., None] if gray else view.image
        ink = np.clip((image - screen[..., None]) * np.float32(4) + 128, 0, 255)
        pixels = np.broadcast_to(ink, view.image.shape).astype(np.uint8)
        return view.replaced(pixels, self.entry(dots=dots, gray=gray))


@dataclass
class Cartoon(Edit):
    """Draw flat colours (``colours`` levels per channel) with dark outlines."""

    LIMITS: ClassVar = {"colours": (2, 64)}

    colours: Sequence[int] = (4, 8)

    def __call__(self, view: View, rng: Rng) -> View:
        """Draw."""
        count = int(rng.integers(self.colours[0], self.colours[1] + 1))
        side = max(3, round(max(view.size) * 0.012) | 1)
        smooth = cv2.medianBlur(view.image, side)
        step = 256 / count
        table = np.clip((np.arange(256) // step + 0.5) * step, 0, 255).astype(np.uint8)
        gray = cv2.GaussianBlur(cv2.cvtColor(view.image, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
        lines = cv2.adaptiveThreshold(
            gray, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 2 * side + 1, 6
        )
        pixels = cv2.bitwise_and(cv2.LUT(smooth, table), cv2.cvtColor(lines, cv2.COLOR_GRAY2RGB))
        return view.replaced(pixels, self.entry(colours=count))
