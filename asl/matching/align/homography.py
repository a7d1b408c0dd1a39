"""Small geometry of homographies: applying, checking, outlines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    return np.array(
        [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], dtype=np.float64
    )


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


def middle_scale(matrix: Matrix, shape: tuple[int, int]) -> float:
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
    return float(
        np.log(local[0] / max(local[1], 1e-9)) + 0.5 * np.log(max(scales) / max(min(scales), 1e-9))
    )


def clipped_outline(matrix: Matrix, source: tuple[int, int], target: tuple[int, int]) -> _Points:
    """``[V, 2]`` the outline of the source image laid over the target image, cut at the target's border.

    Only what has positive depth counts, so the horizon of a map backwards may run through the
    source image.
    """
    height, width = (side - 1.0 for side in target)
    across, down, depth = matrix.tolist()
    # Borders of the target, seen in the source: what is cut there never has to be mapped across the
    # horizon.
    right, bottom = (
        [limit * d - m for m, d in zip(row, depth, strict=True)]
        for row, limit in ((across, width), (down, height))
    )
    mapped = []
    for x, y in _cut([(x, y) for x, y in corners(source).tolist()], (across, down, right, bottom)):
        far = max(depth[0] * x + depth[1] * y + depth[2], 1e-12)
        place = ((row[0] * x + row[1] * y + row[2]) / far for row in (across, down))
        mapped.append(
            [
                min(max(value, 0.0), limit)
                for value, limit in zip(place, (width, height), strict=True)
            ]
        )
    return np.array(mapped) if abs(_signed_area(mapped)) >= 1.0 else np.empty((0, 2))


def polygon_area(polygon: _Points) -> float:
    """Area in square pixels (0 for fewer than three corners)."""
    return abs(_signed_area(polygon.tolist()))


def intersection_area(first: _Points, second: _Points) -> float:
    """Area that two convex outlines ``[V, 2]`` share, drawn either way round; 0 where one has no area."""
    window: list[tuple[float, float]] = [(x, y) for x, y in second.tolist()]
    turn = _signed_area(window)
    if turn == 0.0:
        return 0.0
    if turn < 0:
        window.reverse()
    inner = [
        (y - next_y, next_x - x, x * (next_y - y) - y * (next_x - x))
        for (x, y), (next_x, next_y) in zip(window, window[1:] + window[:1], strict=True)
    ]
    return abs(_signed_area(_cut([(x, y) for x, y in first.tolist()], inner)))


def _cut(
    outline: list[tuple[float, float]], inner: Iterable[Sequence[float]]
) -> list[tuple[float, float]]:
    """The part of a convex outline where a x + b y + c >= 0 for all (a, b, c) (Sutherland & Hodgman 1974).

    OpenCV's intersectConvexConvex fails on edges that nearly coincide, as those of near-identical
    images do. Plain
    numbers: for a few corners they are several times faster than arrays.
    """
    for a, b, c in inner:
        kept = []
        sides = [a * x + b * y + c for x, y in outline]
        for place, (x, y) in enumerate(outline):
            before = sides[place - 1]
            here = sides[place]
            if (here >= 0) != (before >= 0):
                last_x, last_y = outline[place - 1]
                share = before / (before - here)
                kept.append((last_x + share * (x - last_x), last_y + share * (y - last_y)))
            if here >= 0:
                kept.append((x, y))
        outline = kept
    return outline


def _signed_area(outline: Sequence[Sequence[float]]) -> float:
    """Positive where the outline is drawn clockwise on screen."""
    if len(outline) < 3:
        return 0.0
    (left, top), total = (
        outline[0],
        0.0,
    )  # seen from one corner: small outlines far from the origin keep their digits
    last_x = last_y = 0.0
    for x, y in outline:
        total += last_x * (y - top) - last_y * (x - left)
        last_x, last_y = x - left, y - top
    return 0.5 * total
