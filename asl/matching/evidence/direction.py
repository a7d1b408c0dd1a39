"""Direction from geometry: who holds more of the scene, and whether the outline inside the other image is a cut.

A picture that was pasted (screenshot, padding, overlay onto a background) has an edge along its
outline. A wider shot
simply goes on there: that pair is consistent, but the reference was cut from the query, not the
other way round. What goes on varies along the outline alike on both of its sides, also where it was
cut along an edge of the scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from asl.matching.align.homography import apply, clipped_outline, corners, inverse, polygon_area
from asl.matching.align.prepare import Prepared
from asl.matching.values import Alignment, Gray, Matrix

_Points = npt.NDArray[np.float64]
_STEP = 3.0  # pixels on either side of the outline between which the contrast is taken
_ASIDE = 9.0  # pixels further in, where the same contrast is taken for comparison
# pixels on either side of the outline at which a scene that goes on has changed, a reflection has
# not
_FAR = 10.0
_FEW = 8  # points of one side of the outline that must be inside for its two sides to be compared
_NOISE = (
    30.0  # squared grey levels that vary by chance: what varies less is plain and goes on nowhere
)
_GRID = 96  # cells, both sides of the grid on which overlapping regions are added up
_BORDER = 5.0  # pixels: an outline this close to the image's own border is that border


def coverage(query: Prepared, reference: Prepared, alignments: list[Alignment]) -> dict[str, float]:
    """The numbers of :class:`asl.matching.values.Evidence` about who covers whom."""
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
    whole = max(1.0, (target[0] - 1.0) * (target[1] - 1.0))
    return float(min(1.0, polygon_area(clipped_outline(matrix, source, target)) / whole))


def _share_of_query(query: Prepared, reference: Prepared, alignments: list[Alignment]) -> float:
    """Share of the query under any of the alignments; what two of them cover counts once."""
    if len(alignments) == 1:
        return _area_share(alignments[0].matrix, reference.shape, query.shape)
    height, width = query.shape
    covered = np.zeros((_GRID, _GRID), dtype=np.uint8)
    for item in alignments:
        outline = clipped_outline(item.matrix, reference.shape, query.shape)
        if len(outline) >= 3:
            scaled = outline * (_GRID - 1) / np.maximum([width - 1.0, height - 1.0], 1.0)
            cv2.fillConvexPoly(covered, np.rint(scaled).astype(np.int32), 1)
    return float(covered.mean())


@dataclass(frozen=True)
class Seam:
    """What lies along the other image's outline inside a picture.

    Attributes:
        contrast: ln(contrast across the outline / contrast beside it), 0 where no outline is
            inside.
        edge: share of the points inside where the contrast across stands out of that on both sides.
        inside: share of the outline that is inside.
        join: correlation of the brightness along the outline just inside and just outside it, on
            the side of the outline where it is highest: high where the picture goes on.
        breaks: 1 - the same on the side where it is lowest: high where one side at least is a cut.
        echo: the same correlation further from the outline, mean over its sides: high where the
            border was filled with a reflection.
    """

    contrast: float = 0.0
    edge: float = 0.0
    inside: float = 0.0
    join: float = 0.0
    breaks: float = 0.0
    echo: float = 0.0


def seam(picture: Gray, matrix: Matrix, other: tuple[int, int]) -> Seam:
    """Contrast across the other image's outline inside a picture, compared with the contrast beside it."""
    sides, inside = _outline_points(matrix, other, (picture.shape[0], picture.shape[1]))
    if inside < 0.03:
        return Seam(inside=inside)
    points, normals = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    here = np.max(
        [_contrast(picture, points + normals * shift, normals) for shift in (-2.0, 0.0, 2.0)],
        axis=0,
    )
    aside = np.stack(
        [_contrast(picture, points + normals * shift, normals) for shift in (-_ASIDE, _ASIDE)]
    )
    contrast = np.clip(np.log((here.mean() + 2.0) / (1.4 * aside.mean() + 2.0)), -3, 3)
    edge = (here > 1.5 * aside.max(axis=0) + 4.0).mean()
    join, breaks, echo = _goes_on(picture, sides)
    return Seam(float(contrast), float(edge), inside, join, breaks, echo)


def _goes_on(picture: Gray, sides: list[tuple[_Points, _Points]]) -> tuple[float, float, float]:
    """``join``, ``breaks`` and ``echo`` of :class:`Seam`; zeros where no side is long enough."""
    near: list[float] = []
    far: list[float] = []
    weight: list[int] = []
    for points, normals in sides:
        if len(points) >= _FEW:
            for found, distance in ((near, _STEP), (far, _FAR)):
                inner, outer = (
                    _sample(picture, points + sign * distance * normals) for sign in (-1, 1)
                )
                found.append(_alike(inner, outer))
            weight.append(len(points))
    if not near:
        return 0.0, 0.0, 0.0
    return max(near), 1.0 - min(near), float(np.average(far, weights=weight))


def _alike(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Correlation of two brightness profiles, towards 0 where they hardly vary."""
    one, other = one - one.mean(), other - other.mean()
    spread = np.sqrt((one * one).mean() * (other * other).mean())
    return float((one * other).mean() / (spread + _NOISE))


def _outline_points(
    matrix: Matrix, other: tuple[int, int], shape: tuple[int, int]
) -> tuple[list[tuple[_Points, _Points]], float]:
    """For each side of the outline its points inside the picture and their normals; the share that is inside."""
    quad = apply(matrix, corners(other))
    share = np.linspace(0.04, 0.96, 40)[:, None]
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


def _contrast(picture: Gray, points: _Points, normals: _Points) -> npt.NDArray[np.float64]:
    return np.abs(
        _sample(picture, points + _STEP / 2 * normals)
        - _sample(picture, points - _STEP / 2 * normals)
    )


def _sample(picture: Gray, points: _Points) -> npt.NDArray[np.float64]:
    height, width = picture.shape
    columns = np.clip(np.rint(points[:, 0]), 0, width - 1).astype(np.intp)
    rows = np.clip(np.rint(points[:, 1]), 0, height - 1).astype(np.intp)
    return np.asarray(picture[rows, columns], dtype=np.float64)


def _outside_flat(query: Prepared, alignment: Alignment, shape: tuple[int, int]) -> float:
    """Share of the uncovered query, looked at on a coarse grid, whose brightness is the commonest there."""
    height, width = query.shape
    x, y = np.meshgrid(np.linspace(1, width - 2, 24), np.linspace(1, height - 2, 24))
    points = np.column_stack([x.ravel(), y.ravel()])
    back = apply(inverse(alignment.matrix), points)
    outside = np.any((back < -2) | (back > np.array([shape[1] + 1.0, shape[0] + 1.0])), axis=1)
    if outside.sum() < 12:
        return 0.0
    levels = np.clip(_sample(query.gray, points[outside]) / 8, 0, 31).astype(np.intp)
    counts = np.bincount(levels, minlength=33)
    return float(np.max(counts[:-1] + counts[1:]) / outside.sum())
