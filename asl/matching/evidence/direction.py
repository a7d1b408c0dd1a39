"""Measure direction: mutual coverage, and whether one image's outline is a cut in the other.

A pasted picture (screenshot, padding, overlay onto a background) has an edge along its outline. A
wider shot continues across it: that pair is consistent, but the reference was cut from the query,
not the other way round. Where the scene continues, brightness varies alike on both sides of the
outline, also where it was cut along an edge of the scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from asl.matching.align.plane_geometry import apply, clipped_outline, corners, inverse, polygon_area
from asl.matching.align.prepare import Prepared
from asl.matching.values import Alignment, Gray, Matrix
from asl.types import F64

_STEP = 3.0  # pixels on either side of the outline between which the contrast is measured
_ASIDE = 9.0  # pixels from the outline where the same contrast is measured for comparison
# Pixels on either side of the outline at which a continuing scene has changed, a reflection has
# not.
_FAR = 10.0
_MIN_POINTS = 8  # points of one side of the outline that must be inside to compare its two sides
_NOISE_VARIANCE = 30.0  # squared grey levels: smaller variation is plain and continues nowhere
_COVERAGE_GRID = 96  # cells, both sides of the grid on which overlapping regions are added up
_BORDER = 5.0  # pixels: an outline this close to the image's own border is that border
_POINTS_PER_SIDE = 40  # of the outline
_MIN_INSIDE = 0.03  # share of the outline inside the picture below which it is not measured


def coverage(query: Prepared, reference: Prepared, alignments: list[Alignment]) -> dict[str, float]:
    """Measure mutual coverage and outlines: fields of :class:`asl.matching.values.Evidence`.

    Args:
        query: the possible copy.
        reference: the possible original.
        alignments: reference -> query, best first.
    """
    main = alignments[0]
    backwards = inverse(main.matrix)
    in_query = seam(query.gray, main.matrix, reference.shape)
    in_reference = seam(reference.gray, backwards, query.shape)
    return {
        "cover_query": _share_of_query(query, reference, alignments),
        "cover_reference": _area_share(backwards, query.shape, reference.shape),
        "seam_query": in_query.contrast,
        "seam_reference": in_reference.contrast,
        "edge_query": in_query.edge,
        "edge_reference": in_reference.edge,
        "inside_query": in_query.inside,
        "inside_reference": in_reference.inside,
        "join_query": in_query.join,
        "join_reference": in_reference.join,
        "break_query": in_query.breaks,
        "break_reference": in_reference.breaks,
        "echo_query": in_query.echo,
        "echo_reference": in_reference.echo,
        "outside_flat": _outside_flat(query, main, reference.shape),
    }


def _area_share(matrix: Matrix, source: tuple[int, int], target: tuple[int, int]) -> float:
    """Share of the target's area that the mapped source covers."""
    whole = max(1.0, (target[0] - 1.0) * (target[1] - 1.0))
    return float(min(1.0, polygon_area(clipped_outline(matrix, source, target)) / whole))


def _share_of_query(query: Prepared, reference: Prepared, alignments: list[Alignment]) -> float:
    """Share of the query covered by the union of the alignments."""
    if len(alignments) == 1:
        return _area_share(alignments[0].matrix, reference.shape, query.shape)
    height, width = query.shape
    covered = np.zeros((_COVERAGE_GRID, _COVERAGE_GRID), dtype=np.uint8)
    for item in alignments:
        outline = clipped_outline(item.matrix, reference.shape, query.shape)
        if len(outline) >= 3:
            scaled = outline * (_COVERAGE_GRID - 1) / np.maximum([width - 1.0, height - 1.0], 1.0)
            cv2.fillConvexPoly(covered, np.rint(scaled).astype(np.int32), 1)
    return float(covered.mean())


@dataclass(frozen=True)
class Seam:
    """Measurements along the other image's outline inside a picture.

    Attributes:
        contrast: ln(contrast across the outline / contrast beside it), 0 where no outline is
            inside.
        edge: share of the points inside where the contrast across exceeds that on both sides.
        inside: share of the outline that is inside.
        join: correlation of the brightness along the outline just inside and just outside it, on
            the side of the outline where it is highest: high where the picture continues.
        breaks: 1 - that correlation on the side where it is lowest: high where at least one side
            is a cut.
        echo: that correlation further from the outline, mean over its sides: high where the border
            was filled with a reflection.
    """

    contrast: float = 0.0
    edge: float = 0.0
    inside: float = 0.0
    join: float = 0.0
    breaks: float = 0.0
    echo: float = 0.0


def seam(picture: Gray, matrix: Matrix, other: tuple[int, int]) -> Seam:
    """Measure the other image's outline inside a picture.

    Args:
        picture: float32 ``[h, w]`` gray.
        matrix: float64 ``[3, 3]``, other image's pixel -> picture pixel.
        other: (height, width) of the other image.
    """
    sides, inside = _outline_points(matrix, other, (picture.shape[0], picture.shape[1]))
    if inside < _MIN_INSIDE:
        return Seam(inside=inside)
    points, normals = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    across = np.max(
        [_contrast(picture, points + normals * shift, normals) for shift in (-2.0, 0.0, 2.0)],
        axis=0,
    )
    aside = np.stack(
        [_contrast(picture, points + normals * shift, normals) for shift in (-_ASIDE, _ASIDE)]
    )
    contrast = np.clip(np.log((across.mean() + 2.0) / (1.4 * aside.mean() + 2.0)), -3, 3)
    edge = (across > 1.5 * aside.max(axis=0) + 4.0).mean()
    join, breaks, echo = _continuation(picture, sides)
    return Seam(float(contrast), float(edge), inside, join, breaks, echo)


def _continuation(picture: Gray, sides: list[tuple[F64, F64]]) -> tuple[float, float, float]:
    """``join``, ``breaks`` and ``echo`` of :class:`Seam`; zeros where no side is long enough."""
    near: list[float] = []
    far: list[float] = []
    weight: list[int] = []
    for points, normals in sides:
        if len(points) >= _MIN_POINTS:
            for correlations, distance in ((near, _STEP), (far, _FAR)):
                inner, outer = (
                    _sample(picture, points + sign * distance * normals) for sign in (-1, 1)
                )
                correlations.append(_profile_correlation(inner, outer))
            weight.append(len(points))
    if not near:
        return 0.0, 0.0, 0.0
    return max(near), 1.0 - min(near), float(np.average(far, weights=weight))


def _profile_correlation(inner: F64, outer: F64) -> float:
    """Correlation of two brightness profiles, towards 0 where they hardly vary."""
    inner, outer = inner - inner.mean(), outer - outer.mean()
    spread = np.sqrt((inner * inner).mean() * (outer * outer).mean())
    return float((inner * outer).mean() / (spread + _NOISE_VARIANCE))


def _outline_points(
    matrix: Matrix, other: tuple[int, int], shape: tuple[int, int]
) -> tuple[list[tuple[F64, F64]], float]:
    """Sample the outline: points inside the picture and normals of each side, share inside."""
    quad = apply(matrix, corners(other))
    share = np.linspace(0.04, 0.96, _POINTS_PER_SIDE)[:, None]
    low, high = (
        np.array([_BORDER, _BORDER]),
        np.array([shape[1] - 1 - _BORDER, shape[0] - 1 - _BORDER]),
    )
    sides = []
    for start, end in zip(quad, np.roll(quad, -1, axis=0), strict=True):
        side = end - start
        points = start + share * side
        points = points[np.all((points > low) & (points < high), axis=1)]
        normal = np.array([side[1], -side[0]]) / max(float(np.linalg.norm(side)), 1e-9)
        sides.append((points, np.broadcast_to(normal, points.shape)))
    return sides, sum(len(points) for points, _ in sides) / (len(sides) * len(share))


def _contrast(picture: Gray, points: F64, normals: F64) -> F64:
    """Absolute brightness difference across each point, in grey levels."""
    return np.abs(
        _sample(picture, points + _STEP / 2 * normals)
        - _sample(picture, points - _STEP / 2 * normals)
    )


def _sample(picture: Gray, points: F64) -> F64:
    """Brightness at the nearest pixel of each point, clipped to the picture."""
    height, width = picture.shape
    columns = np.clip(np.rint(points[:, 0]), 0, width - 1).astype(np.intp)
    rows = np.clip(np.rint(points[:, 1]), 0, height - 1).astype(np.intp)
    return np.asarray(picture[rows, columns], dtype=np.float64)


def _outside_flat(query: Prepared, alignment: Alignment, shape: tuple[int, int]) -> float:
    """Share of the uncovered query, sampled on a coarse grid, that has its commonest brightness."""
    height, width = query.shape
    x, y = np.meshgrid(np.linspace(1, width - 2, 24), np.linspace(1, height - 2, 24))
    points = np.column_stack([x.ravel(), y.ravel()])
    in_reference = apply(inverse(alignment.matrix), points)
    limit = np.array([shape[1] + 1.0, shape[0] + 1.0])
    outside = np.any((in_reference < -2) | (in_reference > limit), axis=1)
    if outside.sum() < 12:
        return 0.0
    levels = np.clip(_sample(query.gray, points[outside]) / 8, 0, 31).astype(np.intp)
    counts = np.bincount(levels, minlength=33)
    return float(np.max(counts[:-1] + counts[1:]) / outside.sum())
