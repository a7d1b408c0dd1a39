"""Small geometry of homographies: applying, checking, outlines."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from asl.matching.values import Matrix

_Points = npt.NDArray[np.float64]
_LARGEST_SCALE = 24.0
_MOST_STRETCHED = 6.0


def apply(matrix: Matrix, points: _Points) -> _Points:
    """Map points ``[P, 2]``; points on the horizon go to a far, finite place."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    depth = np.where(np.abs(mapped[:, 2:]) < 1e-9, 1e-9, mapped[:, 2:])
    return np.asarray(np.clip(mapped[:, :2] / depth, -1e6, 1e6))


def corners(shape: tuple[int, int]) -> _Points:
    """``[4, 2]`` x, y of an image's corners, clockwise from the top left."""
    height, width = shape
    return np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], dtype=np.float64)


def mirror_matrix(width: int) -> Matrix:
    """Left-right mirror of an image ``width`` pixels wide (its own inverse)."""
    return np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])


def inverse(matrix: Matrix) -> Matrix:
    """The map backwards."""
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def jacobian(matrix: Matrix, point: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``[2, 2]`` how the map stretches around one point."""
    x, y, w = matrix @ np.array([point[0], point[1], 1.0])
    top = matrix[:2, :2] * w - np.outer([x, y], matrix[2, :2])
    return np.asarray(top / max(w * w, 1e-12))


def median_scale(matrix: Matrix, shape: tuple[int, int]) -> float:
    """Linear scale of the map at the middle of an image of that shape."""
    middle = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    return float(np.sqrt(abs(np.linalg.det(jacobian(matrix, middle)))))


def is_sane(matrix: Matrix, shape: tuple[int, int]) -> bool:
    """Whether the map could be an edit: no folding, no horizon inside the image, no absurd scale or stretch.

    The map must keep its orientation: mirrored readings are mirrored before they come here.
    """
    if not np.all(np.isfinite(matrix)):
        return False
    outline = corners(shape)
    depth = outline @ matrix[2, :2] + matrix[2, 2]
    if depth.min() <= 1e-6 * max(1.0, depth.max()) or depth.max() > 6.0 * depth.min():
        return False
    for point in [*outline, outline.mean(axis=0)]:
        local = jacobian(matrix, point)
        if np.linalg.det(local) <= 0:
            return False
        large, small = np.linalg.svd(local, compute_uv=False)
        if large > _LARGEST_SCALE or small < 1 / _LARGEST_SCALE or large > _MOST_STRETCHED * small:
            return False
    return True


def distortion(matrix: Matrix, shape: tuple[int, int]) -> float:
    """How far the map is from a similarity: ln of its stretch in the middle plus ln of how its scale changes."""
    outline = corners(shape)
    local = np.linalg.svd(jacobian(matrix, outline.mean(axis=0)), compute_uv=False)
    scales = [abs(float(np.linalg.det(jacobian(matrix, point)))) for point in outline]
    return float(np.log(local[0] / max(local[1], 1e-9)) + 0.5 * np.log(max(scales) / max(min(scales), 1e-9)))


def clipped_outline(matrix: Matrix, source: tuple[int, int], target: tuple[int, int]) -> _Points:
    """``[V, 2]`` the outline of the source image laid over the target image, cut at the target's border."""
    quad = apply(matrix, corners(source)).astype(np.float32)
    frame = corners(target).astype(np.float32)
    if cv2.contourArea(quad) < 1.0:
        return np.empty((0, 2))
    area, polygon = cv2.intersectConvexConvex(quad, frame)
    return np.empty((0, 2)) if area <= 0 or polygon is None else polygon.reshape(-1, 2).astype(np.float64)


def polygon_area(polygon: _Points) -> float:
    """Area in square pixels (0 for fewer than three corners)."""
    return float(cv2.contourArea(polygon.astype(np.float32))) if len(polygon) >= 3 else 0.0
