"""Cut a region out of an image."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from asl.data.images import Pixels


class Region(NamedTuple):
    """A region of an image, in shares of its sides.

    Attributes:
        left: x of its left side, 0..1.
        top: y of its upper side, 0..1.
        width: 0..1.
        height: 0..1.
        pixels: longer side of the thumbnail that the region is reduced to; 0: none.
    """

    left: float
    top: float
    width: float
    height: float
    pixels: int = 0


def cut(image: Pixels, region: Region | None) -> Pixels:
    """Crop a region of an image, one pixel at least; None returns the whole image.

    Args:
        image: uint8 ``[H, W, 3]``.
        region: with ``pixels``, the crop is reduced to a thumbnail.
    """
    if region is None:
        return image
    height, width = image.shape[:2]
    left = min(int(region.left * width), width - 1)
    top = min(int(region.top * height), height - 1)
    right = round((region.left + region.width) * width)
    bottom = round((region.top + region.height) * height)
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    longest = max(part.shape[:2])
    if not 0 < region.pixels < longest:
        return part
    size = [max(1, round(side * region.pixels / longest)) for side in part.shape[1::-1]]
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA))
