"""Direction from geometry: who holds more of the scene, and whether the outline inside the other image is a cut.

A picture that was pasted (screenshot, padding, overlay onto a background) has an edge along its outline. A wider shot
simply goes on there: that pair is consistent, but the reference was cut from the query, not the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from asl.matching.geometry import apply, clipped_outline, corners, inverse, polygon_area
from asl.matching.prepare import Prepared
from asl.matching.values import Alignment, Gray, Matrix

_Points = npt.NDArray[np.float64]
_STEP = 3.0  # pixels on either side of the outline between which the contrast is taken
_ASIDE = 9.0  # pixels further in, where the same contrast is taken for comparison
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
        contrast: ln(contrast across the outline / contrast beside it), 0 where no outline is inside.
        edge: share of the points inside where the contrast across stands out of that on both sides.
        inside: share of the outline that is inside.
    """

    contrast: float
    edge: float
    inside: float


def seam(picture: Gray, matrix: Matrix, other: tuple[int, int]) -> Seam:
    """Contrast across the other image's outline inside a picture, compared with the contrast beside it."""
    across, along, inside = _outline_points(matrix, other, (picture.shape[0], picture.shape[1]))
    if inside < 0.03:
        return Seam(0.0, 0.0, inside)
    here = np.max([_contrast(picture, across + along * shift, along) for shift in (-2.0, 0.0, 2.0)], axis=0)
    aside = np.stack([_contrast(picture, across + along * shift, along) for shift in (-_ASIDE, _ASIDE)])
    contrast = np.clip(np.log((here.mean() + 2.0) / (1.4 * aside.mean() + 2.0)), -3, 3)
    edge = (here > 1.5 * aside.max(axis=0) + 4.0).mean()
    return Seam(float(contrast), float(edge), inside)


def _outline_points(matrix: Matrix, other: tuple[int, int], shape: tuple[int, int]) -> tuple[_Points, _Points, float]:
    """Points on the outline that lie inside the picture, their normals, and the share that does."""
    quad = apply(matrix, corners(other))
    share = np.linspace(0.04, 0.96, 40)[:, None]
    points, normals = [], []
    for start, end in zip(quad, np.roll(quad, -1, axis=0), strict=True):
        side = end - start
        points.append(start + share * side)
        normal = np.array([side[1], -side[0]]) / max(float(np.linalg.norm(side)), 1e-9)
        normals.append(np.broadcast_to(normal, (len(share), 2)))
    every, normal_of = np.concatenate(points), np.concatenate(normals)
    height, width = shape
    low, high = np.array([_BORDER, _BORDER]), np.array([width - 1 - _BORDER, height - 1 - _BORDER])
    inside = np.all((every > low) & (every < high), axis=1)
    return every[inside], normal_of[inside], float(inside.mean())


def _contrast(picture: Gray, points: _Points, normals: _Points) -> npt.NDArray[np.float64]:
    return np.abs(_sample(picture, points + _STEP / 2 * normals) - _sample(picture, points - _STEP / 2 * normals))


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
