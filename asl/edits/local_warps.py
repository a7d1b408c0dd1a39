"""Local warps: waves, lenses, swirls, shuffled tiles, mirrored halves, repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np

from asl.edits.drawn.paste import random_box
from asl.edits.engine.edit_base import Edit, Rng, draw
from asl.edits.engine.trace import Points, pixel_grid
from asl.edits.engine.view import View
from asl.types import AslError


def remapped(view: View, grid: Points, entry: dict[str, Any]) -> View:
    """Warp by a map; positions outside the old view are reflected and marked as foreign.

    Args:
        view: the view.
        grid: float32 ``[H, W, 2]`` old position (x, y) of every new pixel.
        entry: for the log.
    """
    pixels = cv2.remap(view.image, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return view.replaced(pixels, entry, trace=view.trace.remap(grid))


@dataclass
class Elastic(Edit):
    """Distort by smooth random waves (Simard et al., 2003).

    Attributes:
        strength: range of the amplitude as a share of the longer side.
        scale: range of the wavelength as a share of the longer side.
    """

    LIMITS: ClassVar = {"strength": (0, 0.2), "scale": (0.01, 1)}

    strength: Sequence[float] = (0.005, 0.03)
    scale: Sequence[float] = (0.05, 0.2)

    def __call__(self, view: View, rng: Rng) -> View:
        """Wave."""
        side = max(view.size)
        strength, scale = draw(rng, self.strength), draw(rng, self.scale)
        cells = max(3, round(1 / scale))
        coarse = rng.uniform(-1, 1, size=(cells, cells, 2)).astype(np.float32)
        waves = cv2.resize(coarse, view.size[::-1], interpolation=cv2.INTER_CUBIC)
        return remapped(
            view,
            pixel_grid(view.size) + waves * strength * side,
            self.entry(strength=strength, scale=scale),
        )


@dataclass
class GridDistortion(Edit):
    """Stretch columns and rows of a ``cells`` x ``cells`` grid by up to ``strength`` of a cell."""

    LIMITS: ClassVar = {"strength": (0, 0.9)}

    cells: int = 5
    strength: Sequence[float] = (0.1, 0.5)

    def __call__(self, view: View, rng: Rng) -> View:
        """Stretch."""
        strength = draw(rng, self.strength)
        axes = []
        for length in (view.size[1], view.size[0]):
            steps = np.cumsum(np.insert(1 + rng.uniform(-strength, strength, self.cells), 0, 0.0))
            knots = steps / steps[-1] * (length - 1)
            axes.append(
                np.interp(np.arange(length), np.linspace(0, length - 1, self.cells + 1), knots)
            )
        grid = np.stack(np.meshgrid(axes[0], axes[1]), axis=-1).astype(np.float32)
        return remapped(view, grid, self.entry(strength=strength))


@dataclass
class OpticalDistortion(Edit):
    """Distort as a barrel or pincushion lens with a ``coefficient``."""

    LIMITS: ClassVar = {"coefficient": (-0.9, 0.9)}

    coefficient: Sequence[float] = (-0.4, 0.4)

    def __call__(self, view: View, rng: Rng) -> View:
        """Bend."""
        coefficient = draw(rng, self.coefficient)
        height, width = view.size
        centre = np.array([(width - 1) / 2, (height - 1) / 2], dtype=np.float32)
        offset = (pixel_grid(view.size) - centre) / max(centre.max(), 1)
        radius = (offset**2).sum(axis=-1, keepdims=True) / 2
        grid = centre + offset * (1 + coefficient * radius) / (1 + max(coefficient, 0)) * max(
            centre.max(), 1
        )
        return remapped(view, grid.astype(np.float32), self.entry(coefficient=coefficient))


@dataclass
class Swirl(Edit):
    """Rotate the centre by up to ``degrees``, decreasing towards the edge."""

    LIMITS: ClassVar = {"degrees": (-360, 360)}

    degrees: Sequence[float] = (-90, 90)

    def __call__(self, view: View, rng: Rng) -> View:
        """Swirl."""
        degrees = draw(rng, self.degrees)
        height, width = view.size
        centre = np.array([(width - 1) / 2, (height - 1) / 2], dtype=np.float32)
        offset = pixel_grid(view.size) - centre
        radius = np.sqrt((offset**2).sum(axis=-1)) / max(min(height, width) / 2, 1)
        turn = np.deg2rad(np.float32(degrees)) * np.clip(1 - radius, 0, 1) ** 2
        cos, sin = np.cos(turn), np.sin(turn)
        x, y = offset[..., 0], offset[..., 1]
        grid = np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1) + centre
        return remapped(view, grid.astype(np.float32), self.entry(degrees=degrees))


@dataclass
class Glass(Edit):
    """Scatter pixels by up to ``reach`` percent of the longer side, as through ribbed glass."""

    LIMITS: ClassVar = {"reach": (0, 10)}

    reach: Sequence[float] = (0.3, 1.2)

    def __call__(self, view: View, rng: Rng) -> View:
        """Scatter."""
        reach = draw(rng, self.reach)
        side = np.float32(reach / 100 * max(view.size))
        jitter = (rng.random(size=(*view.size, 2), dtype=np.float32) * 2 - 1) * side
        last = np.array([view.size[1] - 1, view.size[0] - 1], np.float32)
        pixels = cv2.remap(
            view.image, np.clip(pixel_grid(view.size) + jitter, 0, last), None, cv2.INTER_NEAREST
        )
        # Too fine for a map: positions are kept, wrong by less than the reach; fidelity falls.
        return view.replaced(np.asarray(pixels, np.uint8), self.entry(reach=reach))


@dataclass
class CopyMove(Edit):
    """Copy a piece of the view (``area`` of it) to another position in it."""

    LIMITS: ClassVar = {"area": (0, 0.5)}

    area: Sequence[float] = (0.03, 0.15)

    def __call__(self, view: View, rng: Rng) -> View:
        """Copy."""
        area = draw(rng, self.area)
        top, left, height, width = random_box(rng, view.size, area, 1.0)
        to_top = int(rng.integers(0, view.size[0] - height + 1))
        to_left = int(rng.integers(0, view.size[1] - width + 1))
        grid = pixel_grid(view.size)
        grid[to_top : to_top + height, to_left : to_left + width] = grid[
            top : top + height, left : left + width
        ].copy()
        return _pieces(view, grid, self.entry(area=area))


@dataclass
class ShuffleTiles(Edit):
    """Cut into ``tiles`` x ``tiles`` pieces and shuffle them."""

    LIMITS: ClassVar = {"tiles": (2, 64)}

    tiles: Sequence[int] = (2, 4)

    def __call__(self, view: View, rng: Rng) -> View:
        """Shuffle."""
        count = int(rng.integers(self.tiles[0], self.tiles[1] + 1))
        height, width = view.size[0] // count, view.size[1] // count
        if min(height, width) < 4:
            return view
        order = rng.permutation(count * count)
        grid = pixel_grid((height * count, width * count))
        cells = (
            grid.reshape(count, height, count, width, 2)
            .transpose(0, 2, 1, 3, 4)
            .reshape(-1, height, width, 2)
        )
        shuffled = cells[order].reshape(count, count, height, width, 2).transpose(0, 2, 1, 3, 4)
        grid = np.ascontiguousarray(shuffled.reshape(height * count, width * count, 2))
        return _pieces(view, grid, self.entry(tiles=count))


@dataclass
class Kaleidoscope(Edit):
    """Mirror the left half onto the right; half of the time also the upper onto the lower."""

    def __call__(self, view: View, rng: Rng) -> View:
        """Mirror."""
        height, width = view.size
        both = bool(rng.random() < 0.5)
        grid = pixel_grid(view.size)
        grid[..., 0] = np.minimum(grid[..., 0], width - 1 - grid[..., 0])
        if both:
            grid[..., 1] = np.minimum(grid[..., 1], height - 1 - grid[..., 1])
        return _pieces(view, grid, self.entry(both=both))


@dataclass
class Repeat(Edit):
    """Tile the picture ``times`` x ``times``; half of the time every other tile is mirrored."""

    LIMITS: ClassVar = {"times": (1, 16)}

    times: Sequence[int] = (2, 3)

    def __call__(self, view: View, rng: Rng) -> View:
        """Repeat."""
        times = int(rng.integers(self.times[0], self.times[1] + 1))
        mirror = bool(rng.random() < 0.5)
        height, width = view.size
        grid = pixel_grid(view.size) * times
        period = np.array([width, height], dtype=np.float32)
        tile = np.floor(grid / period)
        inside = grid - tile * period
        if mirror:
            inside = np.where(tile % 2 == 1, period - 1 - inside, inside)
        grid = np.clip(inside, 0, period - 1).astype(np.float32)
        return _pieces(view, grid, self.entry(times=times, mirror=mirror))


@dataclass
class ShufflePixels(Edit):
    """Replace a share of the pixels by pixels from elsewhere in the view.

    Content and cover fall by that share; the map stays.
    """

    LIMITS: ClassVar = {"share": (0, 1)}

    share: Sequence[float] = (0.02, 0.3)

    def __call__(self, view: View, rng: Rng) -> View:
        """Shuffle."""
        share = draw(rng, self.share)
        moved = rng.random(view.size) < share
        pixels = view.image.copy()
        pixels[moved] = rng.permutation(pixels[moved], axis=0)
        return view.replaced(
            pixels, self.entry(share=share), trace=view.trace.thinned(float(moved.mean()))
        )


def _pieces(view: View, grid: Points, entry: dict[str, Any]) -> View:
    """Warp in pieces; pixels along the seams, where the map jumps, are marked as foreign.

    Raises:
        AslError: the map is not finite.
    """
    if not np.isfinite(grid).all():
        raise AslError("grid: expected an old position for every pixel, got values not finite")
    trace = view.trace.remap(grid)
    jump = np.zeros(grid.shape[:2], dtype=bool)
    ordinary = 1.5 * max(1.0, float(np.abs(grid[0, 1] - grid[0, 0]).max()))
    for axis in (0, 1):
        steps = np.abs(np.diff(grid, axis=axis)).max(axis=-1) > ordinary
        after = np.insert(steps, 0, False, axis=axis)
        before = np.insert(steps, steps.shape[axis], False, axis=axis)
        jump |= after | before
    pixels = cv2.remap(view.image, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return view.replaced(pixels, entry, trace=trace.hide(jump) if jump.any() else trace)
