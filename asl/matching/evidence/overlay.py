"""Overlay of an aligned pair: both images on one pixel grid, blurred alike, and a common mask."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from asl.matching.align.plane_geometry import apply, clipped_outline, corners, inverse, middle_scale
from asl.matching.align.prepare import Prepared
from asl.matching.values import Alignment, Gray, Matrix
from asl.types import F64, Bools

_MARGIN = 2  # pixels along the other image's outline that are excluded from the mask
_MIN_SIDE = 8  # pixels of the common part
_MIN_AREA = 64  # pixels of the common mask


@dataclass(frozen=True, eq=False)
class Overlay:
    """Both images on the grid of the one that shows the common part at fewer pixels.

    Attributes:
        query: float32 ``[h, w]`` gray 0..255.
        reference: float32 ``[h, w]``.
        mask: bool ``[h, w]`` where both have pixels.
        to_query: float64 ``[3, 3]`` grid pixel -> query pixel at working size.
    """

    query: Gray
    reference: Gray
    mask: Bools
    to_query: Matrix


def lay_over(query: Prepared, reference: Prepared, alignment: Alignment) -> Overlay | None:
    """Warp a pair onto one grid; None where fewer than 8 x 8 pixels are common.

    The image that shows the common part larger is blurred before it is reduced, so that detail
    which the other one cannot have does not count as disagreement.

    Args:
        query: the possible copy.
        reference: the possible original.
        alignment: reference -> query.
    """
    matrix = alignment.matrix
    scale = middle_scale(matrix, reference.shape)
    if scale <= 1.0:
        warped = _warp(reference.gray, matrix, query.shape, scale)
        box = _bounds(clipped_outline(matrix, reference.shape, query.shape))
        pictures = (query.gray, warped)
        to_query = np.eye(3)
    else:
        backwards = inverse(matrix)
        warped = _warp(query.gray, backwards, reference.shape, 1.0 / scale)
        box = _bounds(clipped_outline(backwards, query.shape, reference.shape))
        pictures = (warped, reference.gray)
        to_query = matrix
    if box is None:
        return None
    left, top, right, bottom = box
    on_query, on_reference = (
        np.ascontiguousarray(picture[top:bottom, left:right]) for picture in pictures
    )
    moved: Matrix = to_query @ np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
    sides = (query, matrix, reference) if scale <= 1.0 else (reference, inverse(matrix), query)
    mask = _common_mask(sides, box)
    return Overlay(on_query, on_reference, mask, moved) if mask.sum() >= _MIN_AREA else None


def _warp(picture: Gray, matrix: Matrix, shape: tuple[int, int], scale: float) -> Gray:
    """Warp a picture to (height, width), blurred beforehand where it is reduced by ``scale``."""
    if scale < 0.9:
        picture = cv2.GaussianBlur(picture, (0, 0), 0.5 * float(np.sqrt(1.0 / scale**2 - 1.0)))
    drawn = cv2.warpPerspective(
        picture, matrix, shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(drawn, dtype=np.float32)


def _bounds(polygon: F64) -> tuple[int, int, int, int] | None:
    """Pixel box (left, top, right, bottom) of a polygon; None below 8 pixels a side."""
    if len(polygon) < 3:
        return None
    left, top = (int(value) for value in np.floor(polygon.min(axis=0)))
    right, bottom = (int(value) + 1 for value in np.ceil(polygon.max(axis=0)))
    if min(right - left, bottom - top) < _MIN_SIDE:
        return None
    return max(left, 0), max(top, 0), right, bottom


def _common_mask(sides: tuple[Prepared, Matrix, Prepared], box: tuple[int, int, int, int]) -> Bools:
    """Mask the pixels of the grid that the other image covers, without a thin margin."""
    grid, matrix, other = sides
    left, top, right, bottom = box
    height, width = min(bottom, grid.shape[0]) - top, min(right, grid.shape[1]) - left
    outline = apply(matrix, corners(other.shape)) - [left, top]
    mask = np.zeros((height, width), dtype=np.uint8)
    cv2.fillConvexPoly(mask, np.rint(outline).astype(np.int32), 1)
    mask = cv2.erode(mask, np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), np.uint8), borderValue=0)
    return np.asarray(mask > 0)
