"""Track the original position of every pixel of a view through a chain of edits.

Most chains are projective (crop, resize, rotate, pad, perspective ...) and are described by one
3 x 3 matrix and a mask. A local warp needs a dense map. Pixel centres have integer coordinates; x
points right, y down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from asl.types import F32, F64, U8, Bools

Matrix = F64
Points = F32
Mask = U8

_AREA_SAMPLES = 96  # points a side at which the visible share of the original is measured
_AREA_CELLS = 64  # the same for dense maps: cells a side in which their pixels are counted
_VALID_LEVEL = 127  # of 255: interpolated mask above which a pixel is valid


@dataclass(frozen=True, eq=False)
class Trace:
    """Map from the pixels of a view to the original.

    Exactly one of ``matrix`` and ``points`` is set.

    Attributes:
        size: (height, width) of the view.
        source: (height, width) of the original.
        matrix: float64 ``[3, 3]``, view pixel -> original pixel (a homography).
        points: float32 ``[H, W, 2]`` original (x, y) of every pixel, NaN where foreign.
        mask: uint8 ``[H, W]`` 1 where the pixel shows the original; None: everywhere.
        most: upper bound of the visible area, measured before the map became dense; later edits
            cannot restore anything.
        kept: share of the pixels that scattered loss has left. Single pixels are too fine for a
            mask: a later warp would mix them into their neighbours.
    """

    size: tuple[int, int]
    source: tuple[int, int]
    matrix: Matrix | None
    points: Points | None = None
    mask: Mask | None = None
    most: float = 1.0
    kept: float = 1.0

    @classmethod
    def identity(cls, size: tuple[int, int]) -> Trace:
        """Trace of the unedited original of that (height, width)."""
        return cls(size, size, np.eye(3))

    def valid(self) -> Mask:
        """Mask of pixels that show the original, uint8 ``[H, W]``."""
        if self.points is not None:
            finite = np.isfinite(self.points[..., 0]).astype(np.uint8)
            return finite if self.mask is None else finite & self.mask
        return np.ones(self.size, np.uint8) if self.mask is None else self.mask

    def dense(self) -> Points:
        """Original (x, y) of every pixel, float32 ``[H, W, 2]``, NaN where foreign."""
        if self.points is not None:
            points = self.points
        else:
            points = transform(need(self.matrix), pixel_grid(self.size))
        if self.mask is None:
            return points
        return np.where(self.mask[..., None] > 0, points, np.float32(np.nan)).astype(np.float32)

    def at(self, grid: Points) -> Points:
        """Original (x, y) of positions in the view.

        Args:
            grid: float32 ``[..., 2]`` x, y in the view.

        Returns:
            float32 ``[..., 2]``, NaN where foreign or outside.
        """
        height, width = self.size
        columns = np.clip(np.rint(grid[..., 0]), 0, width - 1).astype(np.intp)
        rows = np.clip(np.rint(grid[..., 1]), 0, height - 1).astype(np.intp)
        dense = self.points
        original = (
            transform(need(self.matrix), grid) if dense is None else dense[rows, columns].copy()
        )
        inside = (np.abs(grid[..., 0] - columns) <= 0.5001) & (
            np.abs(grid[..., 1] - rows) <= 0.5001
        )
        if self.mask is not None:
            inside &= self.mask[rows, columns] > 0
        original[~inside] = np.nan
        return original

    def crop(self, top: int, left: int, height: int, width: int) -> Trace:
        """Crop to a rectangle, in pixels."""
        rows, columns = slice(top, top + height), slice(left, left + width)
        return Trace(
            (height, width),
            self.source,
            None if self.matrix is None else self.matrix @ shift(left, top),
            None if self.points is None else self.points[rows, columns],
            None if self.mask is None else self.mask[rows, columns],
            self.most,
            self.kept,
        )

    def place(self, top: int, left: int, height: int, width: int) -> Trace:
        """Place the view on a larger canvas of ``height`` x ``width``; the rest is foreign."""
        rows, columns = slice(top, top + self.size[0]), slice(left, left + self.size[1])
        mask = np.zeros((height, width), np.uint8)
        mask[rows, columns] = self.valid()
        if self.points is None:
            return Trace(
                (height, width),
                self.source,
                need(self.matrix) @ shift(-left, -top),
                None,
                mask,
                kept=self.kept,
            )
        points = np.full((height, width, 2), np.nan, np.float32)
        points[rows, columns] = self.points
        return Trace((height, width), self.source, None, points, mask, self.most, self.kept)

    def resize(self, height: int, width: int) -> Trace:
        """Resize to ``height`` x ``width`` pixels."""
        matrix = resize_matrix(self.size, (height, width))
        if self.points is None:
            mask = self.mask
            if mask is not None:
                mask = np.asarray(
                    cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT),
                    np.uint8,
                )
            return Trace(
                (height, width), self.source, need(self.matrix) @ matrix, None, mask, kept=self.kept
            )
        points = self.dense()
        reach = max(self.size[0] / height, self.size[1] / width)
        if reach > 1.4:
            # Pixels are averaged then, also across seams: positions near a seam are invalid.
            side = 2 * int(np.ceil(reach / 2)) + 1
            inner = cv2.erode(
                np.isfinite(points[..., 0]).astype(np.uint8), np.ones((side, side), np.uint8)
            )
            points = np.where(inner[..., None] > 0, points, np.float32(np.nan))
        points = np.asarray(
            cv2.resize(points, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
        )
        return Trace((height, width), self.source, None, points, None, self.most, self.kept)

    def rearrange(self, matrix: Matrix, move: Callable[[Any], Any]) -> Trace:
        """Reorder the pixels without interpolation: a mirror image, a quarter turn.

        Args:
            matrix: new pixel -> old pixel.
            move: applies it to an array ``[H, W]`` or ``[H, W, C]``.
        """
        mask = None if self.mask is None else np.ascontiguousarray(move(self.mask))
        points = None if self.points is None else np.ascontiguousarray(move(self.points))
        size = self.size if matrix[0, 0] else self.size[::-1]
        moved = None if self.matrix is None else self.matrix @ matrix
        return Trace(size, self.source, moved, points, mask, self.most, self.kept)

    def warp(self, matrix: Matrix, size: tuple[int, int]) -> Trace:
        """Apply a homography; pixels from outside the old view are foreign.

        Args:
            matrix: new pixel -> old pixel.
            size: of the new view.
        """
        if self.points is not None:
            return self.remap(transform(matrix, pixel_grid(size)))
        # A pixel is valid where most of it is: any other level makes strokes grow or shrink at
        # every warp.
        old = np.full(self.size, 255, np.uint8) if self.mask is None else self.mask * np.uint8(255)
        mask = np.asarray(
            cv2.threshold(warp_pixels(old, matrix, size), _VALID_LEVEL, 1, cv2.THRESH_BINARY)[1],
            np.uint8,
        )
        return Trace(size, self.source, need(self.matrix) @ matrix, None, mask, kept=self.kept)

    def remap(self, grid: Points) -> Trace:
        """Apply any warp.

        Args:
            grid: float32 ``[H, W, 2]`` old position (x, y) of each new pixel, NaN where foreign.
        """
        size = (grid.shape[0], grid.shape[1])
        most = min(self.most, self._area())
        if self.points is None and self.mask is None:
            points = transform(need(self.matrix), grid)
            height, width = self.size
            with np.errstate(invalid="ignore"):
                outside = (np.abs(grid[..., 0] - (width - 1) / 2) > width / 2) | (
                    np.abs(grid[..., 1] - (height - 1) / 2) > height / 2
                )
            points[outside] = np.nan
            return Trace(
                size, self.source, None, points.astype(np.float32), most=most, kept=self.kept
            )
        # NaN spreads to whatever is interpolated from it, so that no invented position survives.
        new = cv2.remap(self.dense(), grid, None, cv2.INTER_LINEAR, borderValue=(np.nan, np.nan))
        return Trace(
            size, self.source, None, np.asarray(new, np.float32), most=most, kept=self.kept
        )

    def hide(self, hidden: Bools) -> Trace:
        """Mark pixels as foreign (bool ``[H, W]``)."""
        return self.masked(self.valid() * (1 - hidden.astype(np.uint8)))

    def masked(self, mask: Mask) -> Trace:
        """Replace the mask; the caller must not restore hidden pixels."""
        return Trace(self.size, self.source, self.matrix, self.points, mask, self.most, self.kept)

    def thinned(self, lost: float) -> Trace:
        """Lose a share of the pixels, scattered evenly over the view: counted, not located."""
        return replace(self, kept=self.kept * (1 - lost))

    def cover(self) -> float:
        """Share of the view that shows the original, 0..1."""
        valid = self.valid()
        return self.kept * cv2.countNonZero(valid) / valid.size

    def content(self) -> float:
        """Share of the original's area that is visible in the view, 0..1."""
        return self.kept * self._area()

    def _area(self) -> float:
        """Visible share of the original's area before scattered loss."""
        if self.points is not None:
            return self._area_dense()
        # Points spread evenly over the original; count those that a valid pixel shows.
        samples = resize_matrix(self.source, (_AREA_SAMPLES, _AREA_SAMPLES))
        back = np.asarray(np.linalg.inv(need(self.matrix)), np.float64) @ samples
        seen = warp_pixels(
            self.valid(), back, (_AREA_SAMPLES, _AREA_SAMPLES), method=cv2.INTER_NEAREST
        )
        return cv2.countNonZero(seen) / _AREA_SAMPLES**2

    def _area_dense(self) -> float:
        """Count the cells of the original that valid pixels fall into; rim cells count half."""
        fine = self.dense()
        height, width = self.source
        scale = np.array([_AREA_CELLS / width, _AREA_CELLS / height], np.float32)
        steps = np.abs(np.diff(fine[::8], axis=1) * scale).max(axis=-1)
        step = float(np.nanmedian(steps)) if np.isfinite(steps).any() else 1.0
        if step > 0.5:
            # Too far apart to hit every cell: positions in between are interpolated.
            times = float(np.clip(2 * step, 1, 6))
            fine = np.asarray(
                cv2.resize(fine, None, fx=times, fy=times, interpolation=cv2.INTER_LINEAR)
            )
        elif step < 0.25:
            stride = int(0.5 / max(step, 0.02))
            fine = fine[::stride, ::stride]
        original = fine[np.isfinite(fine[..., 0])]
        columns = np.clip((original[:, 0] + 0.5) * scale[0], 0, _AREA_CELLS - 1).astype(np.intp)
        rows = np.clip((original[:, 1] + 0.5) * scale[1], 0, _AREA_CELLS - 1).astype(np.intp)
        seen = np.zeros((_AREA_CELLS, _AREA_CELLS), np.uint8)
        seen[rows, columns] = 1
        seen = np.asarray(cv2.morphologyEx(seen, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)))
        inner = cv2.erode(seen, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), borderValue=1)
        return min(self.most, float((seen.mean() + inner.mean()) / 2))


def need(matrix: Matrix | None) -> Matrix:
    """Return the matrix of a trace that is known to have one.

    Raises:
        ValueError: the trace has points instead.
    """
    if matrix is None:
        raise ValueError("matrix: expected a projective trace, got one with points")
    return matrix


def pixel_grid(size: tuple[int, int]) -> Points:
    """Create the (x, y) of every pixel of a (height, width): float32 ``[H, W, 2]``."""
    grid = np.empty((*size, 2), np.float32)
    grid[..., 0] = np.arange(size[1], dtype=np.float32)
    grid[..., 1] = np.arange(size[0], dtype=np.float32)[:, None]
    return grid


def project(matrix: npt.NDArray[Any], x: npt.NDArray[Any], y: npt.NDArray[Any]) -> tuple[Any, Any]:
    """Apply a homography to x and y, which are broadcast against each other."""
    a = (matrix / matrix[2, 2] if matrix[2, 2] else matrix).tolist()
    new_x = x * a[0][0] + (y * a[0][1] + a[0][2])
    new_y = x * a[1][0] + (y * a[1][1] + a[1][2])
    if a[2][0] == 0 and a[2][1] == 0:
        return new_x, new_y
    depth = x * a[2][0] + (y * a[2][1] + a[2][2])
    depth = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
    return new_x / depth, new_y / depth


def transform(matrix: Matrix, points: Points) -> Points:
    """Apply a homography to (x, y) points ``[..., 2]``."""
    new = np.empty(points.shape, np.float32)
    new[..., 0], new[..., 1] = project(matrix, points[..., 0], points[..., 1])
    return new


def shift(x: float, y: float) -> Matrix:
    """Matrix of a translation: old pixel = new pixel + (x, y)."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def resize_matrix(old: tuple[int, int], new: tuple[int, int]) -> Matrix:
    """Matrix new pixel -> old pixel of a resize between two (height, width); outer edges match."""
    y, x = old[0] / new[0], old[1] / new[1]
    return np.array([[x, 0.0, 0.5 * x - 0.5], [0.0, y, 0.5 * y - 0.5], [0.0, 0.0, 1.0]])


def warp_pixels(
    image: Any,
    matrix: Matrix,
    size: tuple[int, int],
    *,
    border: int = cv2.BORDER_CONSTANT,
    value: Any = 0,
    method: int = cv2.INTER_LINEAR,
) -> Any:
    """Warp pixels by a homography; affine maps use OpenCV's faster function.

    Args:
        image: array ``[H, W]`` or ``[H, W, C]``.
        matrix: new pixel -> old pixel.
        size: (height, width) of the result.
        border: OpenCV's border mode.
        value: of a constant border.
        method: OpenCV's interpolation.
    """
    flags = method | cv2.WARP_INVERSE_MAP
    if abs(matrix[2, 0]) + abs(matrix[2, 1]) < 1e-12:
        affine = matrix[:2] / matrix[2, 2]
        return cv2.warpAffine(
            image, affine, size[::-1], flags=flags, borderMode=border, borderValue=value
        )
    return cv2.warpPerspective(
        image, matrix, size[::-1], flags=flags, borderMode=border, borderValue=value
    )
