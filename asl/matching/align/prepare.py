"""From an image to what the verifier keeps of it: a working-size copy and its local features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from asl.matching.values import Gray, Image, Settings
from asl.types import AslError

SMALLEST = 16  # pixels; below this side there is nothing a local feature could stand on
_ROOT = 400.0  # RootSIFT values are stored as value * 400 in a byte; they rarely pass 0.6


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image at working size and its local features (RootSIFT; Lowe 2004; Arandjelović & Zisserman 2012, §3).

    Attributes:
        image: uint8 ``[h, w, 3]`` RGB.
        points: float32 ``[K, 2]`` x, y in pixels of ``image``.
        scales: float32 ``[K]`` diameter in pixels.
        angles: float32 ``[K]`` degrees, clockwise on screen (OpenCV's sense).
        descriptors: uint8 ``[K, 128]``.
    """

    image: Image
    points: npt.NDArray[np.float32]
    scales: npt.NDArray[np.float32]
    angles: npt.NDArray[np.float32]
    descriptors: npt.NDArray[np.uint8]

    @cached_property
    def gray(self) -> Gray:
        """float32 ``[h, w]`` 0..255."""
        return np.asarray(cv2.cvtColor(self.image, cv2.COLOR_RGB2GRAY), dtype=np.float32)

    @cached_property
    def unit(self) -> npt.NDArray[np.float32]:
        """float32 ``[K, 128]`` unit rows, so that a product of two is a cosine."""
        rows = self.descriptors.astype(np.float32)
        norms = np.sqrt(np.einsum("kd,kd->k", rows, rows))
        return np.asarray(rows / np.maximum(norms, 1e-6)[:, None], dtype=np.float32)

    # A query is read in these ways against each of its candidates.
    @cached_property
    def mirror(self) -> Prepared:
        """The same image mirrored left to right, its features permuted instead of found again."""
        points = self.points.copy()
        points[:, 0] = self.image.shape[1] - 1 - points[:, 0]
        return Prepared(
            np.ascontiguousarray(self.image[:, ::-1]),
            points,
            self.scales,
            np.asarray((180.0 - self.angles) % 360.0, dtype=np.float32),
            np.ascontiguousarray(self.descriptors[:, MIRROR_ORDER]),
        )

    @cached_property
    def negative(self) -> Prepared:
        """The photographic negative of the image, its features permuted instead of found again."""
        return Prepared(
            np.ascontiguousarray(255 - self.image),
            self.points,
            self.scales,
            np.asarray((self.angles + 180.0) % 360.0, dtype=np.float32),
            np.ascontiguousarray(self.descriptors[:, NEGATIVE_ORDER]),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width at working size."""
        return int(self.image.shape[0]), int(self.image.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays, without what is made of them on use."""
        arrays = (self.image, self.points, self.scales, self.angles, self.descriptors)
        return sum(array.nbytes for array in arrays)


def prepare(image: npt.NDArray[np.uint8], settings: Settings) -> Prepared:
    """Scale an image to working size and find its local features.

    Args:
        image: uint8 ``[H, W, 3]`` RGB or ``[H, W]`` gray.
        settings: working size and number of features.

    Raises:
        AslError: not such an array, or empty.
    """
    working = working_image(image, settings.size)
    points, scales, angles, descriptors = _local_features(working, settings.features)
    return Prepared(working, points, scales, angles, descriptors)


def working_image(image: npt.NDArray[np.uint8], size: int) -> Image:
    """uint8 RGB with its longer side at ``size``; small images grow by a factor of two at most."""
    checked = np.asarray(image)
    if (
        checked.dtype != np.uint8
        or checked.ndim not in (2, 3)
        or (checked.ndim == 3 and checked.shape[2] != 3)
    ):
        raise AslError(
            f"image: expected uint8 [H, W, 3] RGB, got {checked.dtype} {checked.shape}; decode it first"
        )
    if min(checked.shape[:2]) == 0:
        raise AslError(f"image: has no pixels, its shape is {checked.shape}")
    if checked.ndim == 2:
        checked = np.repeat(checked[:, :, None], 3, axis=2)
    height, width = checked.shape[:2]
    factor = min(size / max(height, width), 2.0)
    target = (max(1, round(width * factor)), max(1, round(height * factor)))
    if target == (width, height):
        return np.ascontiguousarray(checked)
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(checked, target, interpolation=method), dtype=np.uint8)


def _local_features(
    image: Image, limit: int
) -> tuple[
    npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.uint8]
]:
    nothing = np.empty(0, dtype=np.float32)
    empty = (nothing.reshape(0, 2), nothing, nothing, np.empty((0, 128), dtype=np.uint8))
    if min(image.shape[:2]) < SMALLEST:
        return empty
    detector = cv2.SIFT.create(nfeatures=limit, contrastThreshold=0.02)
    found, raw = detector.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
    if raw is None or not len(found):
        return empty
    found, raw = found[:limit], raw[:limit]
    root = np.sqrt(raw / np.maximum(raw.sum(axis=1, keepdims=True), 1e-6))
    return (
        np.array([point.pt for point in found], dtype=np.float32),
        np.array([point.size for point in found], dtype=np.float32),
        np.array([point.angle for point in found], dtype=np.float32),
        np.clip(np.rint(root * _ROOT), 0, 255).astype(np.uint8),
    )


def _mirror_order() -> npt.NDArray[np.intp]:
    """Where each of the 128 values of a SIFT descriptor goes when the image is mirrored.

    Seen along the feature's own direction, a mirror swaps left and right: the 4 rows of the 4 x 4
    grid are read backwards and the 8 directions turn the other way.
    """
    grid = np.arange(128).reshape(4, 4, 8)
    return np.ascontiguousarray(grid[::-1][:, :, (-np.arange(8)) % 8].reshape(128))


MIRROR_ORDER = _mirror_order()


# A feature of the negative points the other way, so its 4 x 4 grid is read from the far corner; the
# directions inside are relative to the feature's own and stay.
NEGATIVE_ORDER = np.ascontiguousarray(np.arange(128).reshape(4, 4, 8)[::-1, ::-1].reshape(128))
