"""Measure the detail of a picture, as a whole and by place: what is lost at a smaller size.

The place matters: a screenshot shows a picture, perhaps enlarged, among sharp letters, whose detail
is not the picture's.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from asl.data.images import Pixels
from asl.types import F32, F64, Bools

SHRINKS = (1.25, 1.5, 2.0, 3.0, 4.0)  # factors of both sides at which lost detail is measured
GRID = 6  # places a side at which it is measured
LARGE_SIDE = 1024  # pixels; larger images are measured on samples, for speed
TILE_SIDE = 340  # pixels; a large image has 3 x 3 samples
_TILES = 3
_CODES_PER_OCTAVE = 16
_CODE_UNIT = 16.0  # codes are logarithmic from a sixteenth of a grey level on
_SLACK = 0.005  # share of a picture by which a place may stick out of an outline


def measure_lost_detail(pixels: Pixels) -> tuple[tuple[float, ...], str]:
    """Measure what is lost when an image is shrunk by each of ``SHRINKS`` and enlarged again.

    Args:
        pixels: uint8 ``[H, W, 3]`` RGB.

    Returns:
        RMS grey levels of the whole image, and the same by place as text for
        :func:`lost_inside`; empty for an image with less than two pixels a place.
    """
    tiles = _tiles(pixels)
    squares = [[_square_lost(shrink, tile) for shrink in SHRINKS] for tile in tiles]
    means = np.sqrt(np.mean([[float(np.mean(lost)) for lost in tile] for tile in squares], axis=0))
    whole = tuple(round(float(value), 3) for value in means)
    if min(tiles[0].shape[:2]) < 2 * GRID:
        return whole, ""
    side = round(len(tiles) ** 0.5)
    parts = GRID // side
    rows = [
        np.concatenate([_blocks(squares[row * side + column], parts) for column in range(side)], 2)
        for row in range(side)
    ]
    return whole, _encode(np.sqrt(np.concatenate(rows, axis=1)))


def lost_inside(
    by_place: str, outline: Sequence[tuple[float, float]], size: tuple[int, int]
) -> tuple[float, ...] | None:
    """Return the lost detail of the places inside an outline.

    Args:
        by_place: of :func:`measure_lost_detail`.
        outline: corners (x, y) as shares 0..1 of the image, convex.
        size: (height, width) of the image in pixels.

    Returns:
        RMS grey levels by shrink; None where no place is inside, or nothing was measured.
    """
    if not by_place or len(outline) < 3:
        return None
    inside = _places_inside(np.array(outline, np.float32), size)
    if not inside.any():
        return None
    squares = _decode(by_place)[:, inside] ** 2
    return tuple(np.sqrt(squares.mean(axis=1)).tolist())


def _tiles(pixels: Pixels) -> list[Pixels]:
    """Cut samples from all over a large image; a small one is one sample."""
    if max(pixels.shape[:2]) <= LARGE_SIDE:
        return [pixels]
    tops, lefts = (_tile_starts(side) for side in pixels.shape[:2])
    return [
        pixels[top : top + TILE_SIDE, left : left + TILE_SIDE] for top in tops for left in lefts
    ]


def _tile_starts(side: int) -> npt.NDArray[np.int_]:
    return np.linspace(0, max(0, side - TILE_SIDE), _TILES).astype(int)


def _square_lost(shrink: float, pixels: Pixels) -> F32:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    height, width = grey.shape
    size = max(1, round(width / shrink)), max(1, round(height / shrink))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    enlarged = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((grey - enlarged) ** 2, np.float32)


def _blocks(squares: list[F32], parts: int) -> F64:
    """Mean squares ``[shrinks, parts, parts]`` of a sample."""
    height, width = squares[0].shape
    rows, columns = (np.arange(parts) * side // parts for side in (height, width))
    counts = np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    sums = [np.add.reduceat(np.add.reduceat(lost, rows), columns, 1) for lost in squares]
    return np.asarray(np.stack(sums) / counts, np.float64)


def _places(side: int, *, large: bool) -> F64:
    """Ends ``[GRID, 2]`` of the places along a side, as shares of it."""
    if not large:
        edges = np.arange(GRID + 1) / GRID
        return np.stack([edges[:-1], edges[1:]], axis=1)
    parts = GRID // _TILES
    step = min(TILE_SIDE, side) / parts
    starts = (_tile_starts(side)[:, None] + step * np.arange(parts)).ravel()
    return np.stack([starts, starts + step], axis=1) / side


def _places_inside(outline: F32, size: tuple[int, int]) -> Bools:
    """Tell which places ``[GRID, GRID]`` are inside an outline with all of their corners."""
    rows, columns = (_places(side, large=max(size) > LARGE_SIDE) for side in size)
    inside = np.ones((GRID, GRID), bool)
    for row, (top, bottom) in enumerate(rows):
        for column, (left, right) in enumerate(columns):
            corners = ((left, top), (right, top), (right, bottom), (left, bottom))
            inside[row, column] = all(
                cv2.pointPolygonTest(outline, corner, measureDist=True) >= -_SLACK
                for corner in corners
            )
    return inside


def _encode(lost: F64) -> str:
    codes = np.rint(_CODES_PER_OCTAVE * np.log2(1 + _CODE_UNIT * lost))
    return base64.b64encode(codes.clip(0, 255).astype(np.uint8).tobytes()).decode("ascii")


def _decode(text: str) -> F64:
    codes = np.frombuffer(base64.b64decode(text), np.uint8).astype(np.float64)
    lost = (2 ** (codes / _CODES_PER_OCTAVE) - 1) / _CODE_UNIT
    return np.asarray(lost.reshape(len(SHRINKS), GRID, GRID), np.float64)
