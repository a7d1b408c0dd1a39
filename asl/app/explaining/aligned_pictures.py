"""Draw an aligned pair on one grid: the copy, the original warped onto it, their difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from asl.data.images import decode_image
from asl.matching.align.plane_geometry import middle_scale
from asl.types import F64, U8, Bools

SIDE = 640  # pixels of the longer side of the grid
LEAST_SIDE = 1600  # pixels of the shorter side that large JPEGs are decoded at, at least
GAIN = 3  # of the difference, so that small ones are seen
OUTSIDE = 225  # grey level where the original shows nothing


@dataclass(frozen=True, eq=False)
class Placement:
    """Position of the original in the copy.

    Attributes:
        matrix: float64 ``[3, 3]``, original pixel -> copy pixel, both at working size.
        copy_shape: (height, width) of the copy at working size.
        original_shape: (height, width) of the original at working size.
    """

    matrix: F64
    copy_shape: tuple[int, int]
    original_shape: tuple[int, int]


@dataclass(frozen=True, eq=False)
class AlignedPictures:
    """Both pictures on the grid of the copy.

    Attributes:
        copy: uint8 ``[h, w, 3]`` RGB.
        original: uint8 ``[h, w, 3]`` RGB, grey where the original shows nothing.
        difference: uint8 ``[h, w, 3]``: white where they agree, darker the more a pixel differs,
            grey where there is nothing to compare.
        is_first_copy: the copy is the file that was named first (a guess where it is unclear).
    """

    copy: U8
    original: U8
    difference: U8
    is_first_copy: bool


def picture(data: bytes, *, max_pixels: int) -> U8:
    """Decode a picture for display; large JPEGs come out reduced."""
    return decode_image(data, max_pixels=max_pixels, least=LEAST_SIDE)


def align_pictures(
    copy: U8, original: U8, placement: Placement, *, is_first_copy: bool
) -> AlignedPictures:
    """Draw a pair.

    Args:
        copy: uint8 ``[H, W, 3]`` RGB.
        original: uint8 ``[H, W, 3]`` RGB.
        placement: of the original in the copy.
        is_first_copy: kept in the result.
    """
    grid = _reduced(copy, SIDE / max(copy.shape[:2]))
    to_grid = _resized(placement.copy_shape, grid.shape)
    to_working = _resized(original.shape, placement.original_shape)
    warped, mask = _warped(original, to_grid @ placement.matrix @ to_working, grid.shape)
    return AlignedPictures(grid, warped, _difference(grid, warped, mask), is_first_copy)


def _reduced(image: U8, factor: float) -> U8:
    if factor >= 1:
        return image
    size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _resized(shape: Sequence[int], new_shape: Sequence[int]) -> F64:
    """Map pixel centres of an image of one (height, width) to those at another."""
    y, x = new_shape[0] / shape[0], new_shape[1] / shape[1]
    return np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1]], dtype=np.float64)


def _warped(original: U8, matrix: F64, shape: Sequence[int]) -> tuple[U8, Bools]:
    """Warp the original; returns it with the mask of the pixels that it covers."""
    scale = middle_scale(matrix, (original.shape[0], original.shape[1]))
    small = _reduced(original, min(1.0, scale))  # averages what a plain warp would skip
    matrix = matrix @ _resized(small.shape, original.shape)
    size = shape[1], shape[0]
    drawn = cv2.warpPerspective(
        small,
        matrix,
        size,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(OUTSIDE, OUTSIDE, OUTSIDE),
    )
    whole = np.full(small.shape[:2], 255, np.uint8)
    mask = cv2.warpPerspective(whole, matrix, size, flags=cv2.INTER_NEAREST) > 0
    return np.asarray(drawn, dtype=np.uint8), mask


def _difference(copy: U8, original: U8, mask: Bools) -> U8:
    largest = cv2.absdiff(copy, original).max(axis=2).astype(np.int32)
    shade = np.where(mask, 255 - np.minimum(GAIN * largest, 255), OUTSIDE).astype(np.uint8)
    return np.repeat(shade[:, :, None], 3, axis=2)
