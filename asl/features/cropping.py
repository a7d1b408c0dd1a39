"""Cut regions out of an image, and make a picture into the input of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from asl.data.endable_process import Parts
from asl.data.images import Pixels, decode_image, resize_image
from asl.models import Preprocessing


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


def network_input(image: Pixels, plan: Preprocessing) -> Pixels:
    """Resize an image to the input of a network: uint8 ``[h, w, 3]``."""
    return resize_image(image, plan.size, mode=plan.resize, resampling=plan.resampling)


@dataclass(frozen=True)
class CropRegions:
    """Decode a picture and crop its regions at the input size of a network.

    Attributes:
        regions: of each picture; None is the whole.
        plan: of the network's input.
        least: as in :func:`asl.data.images.decode_image`.
    """

    regions: Sequence[Region | None]
    plan: Preprocessing
    least: int = 0

    def __call__(self, data: bytes) -> Parts:
        """Return the crops, uint8 ``[h, w, 3]`` each."""
        image = decode_image(data, least=self.least)
        crops = [cut(image, region) for region in self.regions]
        return "", [network_input(crop, self.plan) for crop in crops]
