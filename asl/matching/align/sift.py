"""SIFT features in RootSIFT form, and their counterparts in the mirrored and the negative image."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from asl.matching.values import Image
from asl.types import F32, U8

MIN_SIDE = 16  # pixels; a smaller image supports no local feature
DESCRIPTOR_LENGTH = 128
_CONTRAST_THRESHOLD = 0.02  # half of OpenCV's default: weak features of smooth images count too
_BYTE_SCALE = 400.0  # RootSIFT components rarely exceed 0.6, so 400 of them fit into a byte


class SiftFeatures(NamedTuple):
    """K local features of one image.

    Attributes:
        points: float32 ``[K, 2]`` x, y in pixels.
        scales: float32 ``[K]`` diameter in pixels.
        angles: float32 ``[K]`` degrees, clockwise on screen (OpenCV's sense).
        descriptors: uint8 ``[K, 128]`` RootSIFT components times 400.
    """

    points: F32
    scales: F32
    angles: F32
    descriptors: U8


def detect_sift(image: Image, limit: int) -> SiftFeatures:
    """Detect and describe SIFT features (Lowe 2004; RootSIFT: Arandjelović & Zisserman 2012, §3).

    Args:
        image: uint8 ``[h, w, 3]`` RGB.
        limit: maximum number of features; OpenCV keeps those of the highest contrast.

    Returns:
        K <= ``limit`` features; none for images below 16 pixels a side.
    """
    if min(image.shape[:2]) < MIN_SIDE:
        return _no_features()
    detector = cv2.SIFT.create(nfeatures=limit, contrastThreshold=_CONTRAST_THRESHOLD)
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    keypoints, descriptors = detector.detectAndCompute(gray, None)
    if descriptors is None or not len(keypoints):
        return _no_features()
    keypoints, descriptors = keypoints[:limit], descriptors[:limit]
    root = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6))
    return SiftFeatures(
        points=np.array([keypoint.pt for keypoint in keypoints], dtype=np.float32),
        scales=np.array([keypoint.size for keypoint in keypoints], dtype=np.float32),
        angles=np.array([keypoint.angle for keypoint in keypoints], dtype=np.float32),
        descriptors=np.clip(np.rint(root * _BYTE_SCALE), 0, 255).astype(np.uint8),
    )


def _no_features() -> SiftFeatures:
    nothing = np.empty(0, dtype=np.float32)
    return SiftFeatures(
        points=nothing.reshape(0, 2),
        scales=nothing,
        angles=nothing,
        descriptors=np.empty((0, DESCRIPTOR_LENGTH), dtype=np.uint8),
    )


def mirrored_angles(angles: F32) -> F32:
    """Orientations of the same features in the image mirrored left to right (degrees)."""
    return np.asarray((180.0 - angles) % 360.0, dtype=np.float32)


def negative_angles(angles: F32) -> F32:
    """Orientations of the same features in the photographic negative (degrees)."""
    return np.asarray((angles + 180.0) % 360.0, dtype=np.float32)


def mirrored_descriptors(descriptors: U8) -> U8:
    """Permute descriptors ``[K, 128]`` to those of the image mirrored left to right."""
    return np.ascontiguousarray(descriptors[:, _MIRROR_ORDER])


def negative_descriptors(descriptors: U8) -> U8:
    """Permute descriptors ``[K, 128]`` to those of the photographic negative."""
    return np.ascontiguousarray(descriptors[:, _NEGATIVE_ORDER])


def _mirror_order() -> npt.NDArray[np.intp]:
    """Source index of each of the 128 components of a SIFT descriptor of the mirrored image.

    Seen along the feature's own direction, a mirror swaps left and right: the 4 rows of the 4 x 4
    grid are read backwards and the 8 directions turn the other way.
    """
    grid = np.arange(DESCRIPTOR_LENGTH).reshape(4, 4, 8)
    order = grid[::-1][:, :, (-np.arange(8)) % 8].reshape(DESCRIPTOR_LENGTH)
    return np.ascontiguousarray(order)


def _negative_order() -> npt.NDArray[np.intp]:
    """Source index of each component of a SIFT descriptor of the negative.

    A feature of the negative points the other way, so its 4 x 4 grid is read from the far corner;
    the directions inside are relative to the feature's own and stay.
    """
    grid = np.arange(DESCRIPTOR_LENGTH).reshape(4, 4, 8)
    return np.ascontiguousarray(grid[::-1, ::-1].reshape(DESCRIPTOR_LENGTH))


_MIRROR_ORDER = _mirror_order()
_NEGATIVE_ORDER = _negative_order()
