"""Plane geometry of homographies: mapping points, plausibility checks, outlines and areas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from asl.matching.values import Matrix
from asl.types import F64

_MAX_SCALE = 24.0  # largest linear enlargement or reduction that an edit may have
_MAX_STRETCH = 6.0  # largest ratio of the two singular values of the local map
_MAX_DEPTH_RATIO = 6.0  # largest ratio of homogeneous depths between two corners


def apply(matrix: Matrix, points: F64) -> F64:
    """Map points ``[P, 2]`` by a homography; points on the horizon get far but finite values."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    depth = np.where(np.abs(mapped[:, 2:]) < 1e-9, 1e-9, mapped[:, 2:])
    return np.asarray(np.clip(mapped[:, :2] / depth, -1e6, 1e6))


def corners(shape: tuple[int, int]) -> F64:
    """Corners of an image of that (height, width): ``[4, 2]`` x, y, clockwise from top left."""
    height, width = shape
    return np.array(
        [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], dtype=np.float64
    )


def mirror_matrix(width: int) -> Matrix:
    """Left-right mirror of an image ``width`` pixels wide (its own inverse)."""
    return np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])


def inverse(matrix: Matrix) -> Matrix:
    """Inverse map, float64 ``[3, 3]``."""
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def jacobian(matrix: Matrix, point: F64) -> F64:
    """Derivative ``[2, 2]`` of the map at one point (x, y)."""
    x, y, w = matrix @ np.array([point[0], point[1], 1.0])
    top = matrix[:2, :2] * w - np.outer([x, y], matrix[2, :2])
    return np.asarray(top / max(w * w, 1e-12))


def middle_scale(matrix: Matrix, shape: tuple[int, int]) -> float:
    """Linear scale of the map at the centre of an image of that (height, width)."""
    middle = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    return float(np.sqrt(abs(np.linalg.det(jacobian(matrix, middle)))))


def is_sane(matrix: Matrix, shape: tuple[int, int]) -> bool:
    """Check that a map is a plausible edit: no folding, horizon or extreme scale in the image.

    The map must keep orientation: mirrored readings are mirrored before they are passed in.

    Args:
        matrix: float64 ``[3, 3]``, source pixel -> target pixel.
        shape: (height, width) of the source image.
    """
    if not np.all(np.isfinite(matrix)):
        return False
    outline = corners(shape)
    depth = outline @ matrix[2, :2] + matrix[2, 2]
    if depth.min() <= 1e-6 * max(1.0, depth.max()) or depth.max() > _MAX_DEPTH_RATIO * depth.min():
        return False
    local = _jacobians(matrix, np.vstack([outline, outline.mean(axis=0)]))
    a, b, c, d = local.reshape(-1, 4).T
    if (a * d - b * c).min() <= 0:
        return False
    # A plane map is a turned scaling plus a mirrored one: their factors add up to the larger
    # singular value, and their difference is the smaller one.
    turned, mirrored = np.hypot(a + d, c - b), np.hypot(a - d, b + c)
    large, small = (turned + mirrored) / 2, np.abs(turned - mirrored) / 2
    is_extreme = (large > _MAX_SCALE) | (small < 1 / _MAX_SCALE) | (large > _MAX_STRETCH * small)
    return not is_extreme.any()


def _jacobians(matrix: Matrix, points: F64) -> F64:
    """Derivatives ``[P, 2, 2]`` of the map at points ``[P, 2]``."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    depth = mapped[:, 2, None, None]
    top = matrix[:2, :2] * depth - mapped[:, :2, None] * matrix[2, :2]
    return np.asarray(top / np.maximum(depth * depth, 1e-12))


def distortion(matrix: Matrix, shape: tuple[int, int]) -> float:
    """Distance of a map from a similarity: ln stretch at the centre + half the ln scale range.

    Args:
        matrix: float64 ``[3, 3]``, source pixel -> target pixel.
        shape: (height, width) of the source image.

    Returns:
        0 for a similarity, else above 0.
    """
    outline = corners(shape)
    local = np.linalg.svd(jacobian(matrix, outline.mean(axis=0)), compute_uv=False)
    scales = [abs(float(np.linalg.det(jacobian(matrix, point)))) for point in outline]
    return float(
        np.log(local[0] / max(local[1], 1e-9)) + 0.5 * np.log(max(scales) / max(min(scales), 1e-9))
    )


def clipped_outline(matrix: Matrix, source: tuple[int, int], target: tuple[int, int]) -> F64:
    """Outline of the source image mapped onto the target image and clipped to its border.

    Only points of positive depth count, so the horizon of an inverse map may cross the source.

    Args:
        matrix: float64 ``[3, 3]``, source pixel -> target pixel.
        source: (height, width) of the source image.
        target: (height, width) of the target image.

    Returns:
        ``[V, 2]`` x, y in the target; ``[0, 2]`` below one square pixel.
    """
    height, width = (side - 1.0 for side in target)
    across, down, depth = matrix.tolist()
    # Borders of the target in source coordinates: points cut there are never mapped across the
    # horizon.
    right, bottom = (
        [limit * d - m for m, d in zip(row, depth, strict=True)]
        for row, limit in ((across, width), (down, height))
    )
    mapped = []
    for x, y in _clip([(x, y) for x, y in corners(source).tolist()], (across, down, right, bottom)):
        point_depth = max(depth[0] * x + depth[1] * y + depth[2], 1e-12)
        place = ((row[0] * x + row[1] * y + row[2]) / point_depth for row in (across, down))
        mapped.append(
            [
                min(max(value, 0.0), limit)
                for value, limit in zip(place, (width, height), strict=True)
            ]
        )
    return np.array(mapped) if abs(_signed_area(mapped)) >= 1.0 else np.empty((0, 2))


def polygon_area(polygon: F64) -> float:
    """Area of a polygon ``[V, 2]`` in square pixels (0 for fewer than three corners)."""
    return abs(_signed_area(polygon.tolist()))


def intersection_area(first: F64, second: F64) -> float:
    """Area common to two convex outlines ``[V, 2]`` of either orientation; 0 where one is empty."""
    window: list[tuple[float, float]] = [(x, y) for x, y in second.tolist()]
    turn = _signed_area(window)
    if turn == 0.0:
        return 0.0
    if turn < 0:
        window.reverse()
    half_planes = [
        (y - next_y, next_x - x, x * (next_y - y) - y * (next_x - x))
        for (x, y), (next_x, next_y) in zip(window, window[1:] + window[:1], strict=True)
    ]
    return abs(_signed_area(_clip([(x, y) for x, y in first.tolist()], half_planes)))


def _clip(
    outline: list[tuple[float, float]], half_planes: Iterable[Sequence[float]]
) -> list[tuple[float, float]]:
    """Clip a convex outline to a x + b y + c >= 0 for all (a, b, c) (Sutherland & Hodgman 1974).

    OpenCV's intersectConvexConvex fails on edges that nearly coincide, as those of near-identical
    images do. Python numbers are several times faster than arrays for a few corners.
    """
    for a, b, c in half_planes:
        clipped = []
        distances = [a * x + b * y + c for x, y in outline]
        for number, (x, y) in enumerate(outline):
            before = distances[number - 1]
            current = distances[number]
            if (current >= 0) != (before >= 0):
                last_x, last_y = outline[number - 1]
                share = before / (before - current)
                clipped.append((last_x + share * (x - last_x), last_y + share * (y - last_y)))
            if current >= 0:
                clipped.append((x, y))
        outline = clipped
    return outline


def _signed_area(outline: Sequence[Sequence[float]]) -> float:
    """Area in square pixels, positive where the outline runs clockwise on screen."""
    if len(outline) < 3:
        return 0.0
    # Relative to one corner: small outlines far from the origin keep their digits.
    origin_x, origin_y = outline[0]
    total = last_x = last_y = 0.0
    for x, y in outline:
        total += last_x * (y - origin_y) - last_y * (x - origin_x)
        last_x, last_y = x - origin_x, y - origin_y
    return 0.5 * total
