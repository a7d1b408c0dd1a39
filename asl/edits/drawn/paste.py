"""Paste pictures onto a view, and draw the foreign pictures to paste."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from asl.edits.engine.edit_base import Rng
from asl.edits.engine.scaling import scaled
from asl.edits.engine.view import Pixels, View
from asl.types import U8

# An overlay of at least this opacity hides the original; below it the original counts as visible
# with less fidelity.
HIDING_OPACITY = 0.7
Alpha = U8


def paste(
    view: View,
    patch: Pixels,
    alpha: Alpha | None,
    top: int,
    left: int,
    entry: dict[str, Any],
    *,
    opacity: float = 1.0,
) -> View:
    """Paste a picture onto a view; parts beyond its edge are cut.

    Args:
        view: the view.
        patch: uint8 ``[h, w, 3]`` RGB.
        alpha: shape of the picture, uint8 ``[h, w]`` 0..255; None for a full rectangle.
        top: row of its first pixel in the view, may be negative.
        left: column of its first pixel.
        entry: for the log.
        opacity: of the whole picture, 0..1.

    Returns:
        The view, foreign where the picture hides it.
    """
    rows = slice(max(top, 0), min(top + patch.shape[0], view.size[0]))
    columns = slice(max(left, 0), min(left + patch.shape[1], view.size[1]))
    pixels, mask = view.image.copy(), view.trace.valid().copy()
    if rows.start < rows.stop and columns.start < columns.stop:
        inner = (
            slice(rows.start - top, rows.stop - top),
            slice(columns.start - left, columns.stop - left),
        )
        weight = None if alpha is None else alpha[inner]
        pixels[rows, columns] = mixed(patch[inner], pixels[rows, columns], weight, opacity)
        if weight is None:
            mask[rows, columns] *= np.uint8(opacity < HIDING_OPACITY)
        else:
            mask[rows, columns] &= (weight < 255 * HIDING_OPACITY / max(opacity, 1e-6)).astype(
                np.uint8
            )
    return view.replaced(pixels, entry, trace=view.trace.masked(mask))


def mixed(upper: Pixels, lower: Pixels, weight: Alpha | None, opacity: float) -> Pixels:
    """Blend ``upper`` over ``lower``.

    Args:
        upper: uint8 ``[h, w, 3]`` RGB.
        lower: uint8 ``[h, w, 3]`` RGB.
        weight: shape of ``upper``, uint8 ``[h, w]`` 0..255; None for a full rectangle.
        opacity: of ``upper``, 0..1.
    """
    if weight is None:
        return (
            upper
            if opacity >= 1
            else np.asarray(cv2.addWeighted(upper, opacity, lower, 1 - opacity, 0), np.uint8)
        )
    share = cv2.merge([weight] * 3).astype(np.float32) * np.float32(opacity / 255)
    blended = lower + share * (upper.astype(np.float32) - lower)
    return np.asarray(blended + 0.5, np.uint8)


def foreign_image(view: View, rng: Rng, size: tuple[int, int]) -> Pixels:
    """Draw a foreign image at (height, width), cropped to its aspect ratio.

    Without a pool it is smooth colour noise.
    """
    if view.foreign is None:
        coarse = rng.integers(0, 256, size=(6, 6, 3), dtype=np.uint8)
        return np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
    image: Pixels = view.foreign.draw(rng)
    height, width = image.shape[:2]
    scale = max(size[0] / height, size[1] / width)
    h, w = min(height, max(1, round(size[0] / scale))), min(width, max(1, round(size[1] / scale)))
    top, left = (height - h) // 2, (width - w) // 2
    return scaled(np.ascontiguousarray(image[top : top + h, left : left + w]), *size)


def random_box(
    rng: Rng, size: tuple[int, int], area: float, aspect: float
) -> tuple[int, int, int, int]:
    """Draw a rectangle inside (height, width): top, left, height and width in pixels.

    Args:
        rng: random numbers.
        size: (height, width) of the view.
        area: its share of the view.
        aspect: factor on the view's aspect ratio.
    """
    height = int(np.clip(round(size[0] * np.sqrt(area / aspect)), 1, size[0]))
    width = int(np.clip(round(size[1] * np.sqrt(area * aspect)), 1, size[1]))
    top = int(rng.integers(0, size[0] - height + 1))
    left = int(rng.integers(0, size[1] - width + 1))
    return top, left, height, width
