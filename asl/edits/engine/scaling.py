"""Resize pixels as the edits do: the same in training and at extraction."""

from __future__ import annotations

import cv2
import numpy as np

from asl.types import U8

Pixels = U8
_HALVED = 1.75  # an image that shrinks more, along both sides, is halved
_NARROWED = 3.5  # an image that shrinks more along one side is halved along that side
_BLURRED = 1.4  # an image that shrinks more is blurred before it is sampled


def scaled(image: Pixels, height: int, width: int) -> Pixels:
    """Resize to ``height`` x ``width``, bilinearly, averaging where the image shrinks much.

    OpenCV's own area averaging is several times slower except for exact halving, which does most of
    the work here.

    Args:
        image: uint8 ``[h, w]`` or ``[h, w, 3]``.
        height: in pixels.
        width: in pixels.
    """
    down, across = image.shape[0] / height, image.shape[1] / width
    if min(down, across) > _HALVED or max(down, across) > _NARROWED:
        double = scaled(image, height * (1 + (down > _HALVED)), width * (1 + (across > _HALVED)))
        return np.asarray(
            cv2.resize(double, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
    if max(down, across) > _BLURRED:
        image = np.asarray(cv2.blur(image, (3, 3)), np.uint8)
    if (height, width) == image.shape[:2]:
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
