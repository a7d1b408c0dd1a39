"""Prepare an image for verification: scale it to working size and detect its local features."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from asl.matching.align.lazy_property import LazyProperty
from asl.matching.align.sift import (
    detect_sift,
    mirrored_angles,
    mirrored_descriptors,
    negative_angles,
    negative_descriptors,
)
from asl.matching.align.xfeat import LearnedFeatures, detect_xfeat
from asl.matching.values import Gray, Image, Settings
from asl.types import F32, U8, AslError

_MAX_STRETCH = 4.0  # factor by which the longer side of a strip exceeds the working size at most
_MAX_ENLARGEMENT = 2.0  # small images grow by this factor at most
_BLUR = 3.0  # pixels, of the reading that does not see halftones, squares and noise


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image at working size with its local features (see :mod:`asl.matching.align.sift`).

    Attributes:
        image: uint8 ``[h, w, 3]`` RGB.
        points: float32 ``[K, 2]`` x, y in pixels of ``image``.
        scales: float32 ``[K]`` diameter in pixels.
        angles: float32 ``[K]`` degrees, clockwise on screen (OpenCV's sense).
        descriptors: uint8 ``[K, 128]`` RootSIFT components times 400.
        stored: learned features of ``image`` that were stored; None: detected when they are needed.
    """

    image: Image
    points: F32
    scales: F32
    angles: F32
    descriptors: U8
    stored: LearnedFeatures | None = None

    @LazyProperty
    def gray(self) -> Gray:
        """Brightness, float32 ``[h, w]`` 0..255."""
        return np.asarray(cv2.cvtColor(self.image, cv2.COLOR_RGB2GRAY), dtype=np.float32)

    @LazyProperty
    def unit(self) -> F32:
        """Descriptors as float32 ``[K, 128]`` unit rows: a product of two is a cosine."""
        rows = self.descriptors.astype(np.float32)
        norms = np.sqrt(np.einsum("kd,kd->k", rows, rows))
        return np.asarray(rows / np.maximum(norms, 1e-6)[:, None], dtype=np.float32)

    @LazyProperty
    def learned(self) -> LearnedFeatures:
        """Learned features of this reading; a mirror image and a negative have others."""
        return detect_xfeat(self.image) if self.stored is None else self.stored

    # Cached because a query is matched in each of these readings against all of its candidates.
    @LazyProperty
    def mirror(self) -> Prepared:
        """The image mirrored left to right; its features are permuted, not detected again."""
        points = self.points.copy()
        points[:, 0] = self.image.shape[1] - 1 - points[:, 0]
        return Prepared(
            np.ascontiguousarray(self.image[:, ::-1]),
            points,
            self.scales,
            mirrored_angles(self.angles),
            mirrored_descriptors(self.descriptors),
        )

    @LazyProperty
    def negative(self) -> Prepared:
        """The photographic negative; its features are permuted, not detected again."""
        return Prepared(
            np.ascontiguousarray(255 - self.image),
            self.points,
            self.scales,
            negative_angles(self.angles),
            negative_descriptors(self.descriptors),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width at working size, in pixels."""
        return int(self.image.shape[0]), int(self.image.shape[1])

    @LazyProperty
    def softened(self) -> LearnedFeatures:
        """Learned features of the blurred image: halftones, squares and noise are not in it."""
        return detect_xfeat(np.asarray(cv2.GaussianBlur(self.image, (0, 0), _BLUR)))

    def with_learned(self) -> Prepared:
        """The same with its learned features, detected if they were not, among what it holds."""
        return replace(self, stored=self.learned)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays, without the cached properties."""
        arrays = (self.image, self.points, self.scales, self.angles, self.descriptors)
        return sum(array.nbytes for array in (*arrays, *(self.stored or ())))


def prepare(image: U8, settings: Settings) -> Prepared:
    """Scale an image to working size and detect its local features.

    Args:
        image: uint8 ``[H, W, 3]`` RGB or ``[H, W]`` gray.
        settings: working size and number of features.

    Returns:
        The prepared image.

    Raises:
        AslError: ``image`` is not such an array, or has no pixels.
    """
    working = working_image(image, settings.size)
    return Prepared(working, *detect_sift(working, settings.features))


def working_image(image: U8, size: int) -> Image:
    """Scale an image so that its longer side has ``size`` pixels (enlarged at most twofold).

    Pictures longer than two to one get more: a page of ten screens that was reduced to ``size``
    would keep nothing of what a single screen shows.

    Args:
        image: uint8 ``[H, W, 3]`` RGB or ``[H, W]`` gray.
        size: pixels of the longer side of a picture up to two to one; no picture has more pixels
            than a square of that side.

    Returns:
        uint8 ``[h, w, 3]`` RGB.

    Raises:
        AslError: ``image`` is not such an array, or has no pixels.
    """
    array = np.asarray(image)
    is_rgb = array.ndim == 3 and array.shape[2] == 3
    if array.dtype != np.uint8 or not (is_rgb or array.ndim == 2):
        raise AslError(
            f"image: expected uint8 [H, W, 3] RGB, got {array.dtype} {array.shape}; "
            "decode it with asl.data.images.decode_image"
        )
    if min(array.shape[:2]) == 0:
        raise AslError(f"image: expected at least one pixel, got shape {array.shape}")
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    height, width = array.shape[:2]
    factor = min(_longer_side(height, width, size) / max(height, width), _MAX_ENLARGEMENT)
    target = (max(1, round(width * factor)), max(1, round(height * factor)))
    if target == (width, height):
        return np.ascontiguousarray(array)
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(array, target, interpolation=method), dtype=np.uint8)


def _longer_side(height: int, width: int, size: int) -> float:
    """Pixels of the longer side at working size."""
    ratio = max(height, width) / min(height, width)
    return float(size * max(1.0, min((ratio / 2.0) ** 0.75, ratio**0.5, _MAX_STRETCH)))
