"""Align a pair by local features: match, vote for a similarity, fit a homography robustly.

Every match of two SIFT features determines a shift, a scale and a rotation, so one match is one
hypothesis (as in the Hough scheme of Lowe 2004, §7.3). All hypotheses are scored against all
matches at once, which needs no random draws; the best one is then fitted robustly with MAGSAC++
(Barath et al., CVPR 2020) from OpenCV.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from asl.matching.align.plane_geometry import apply, is_sane, middle_scale, mirror_matrix
from asl.matching.align.prepare import Prepared
from asl.matching.values import Alignment, Matrix, Settings
from asl.types import F32, F64, Bools

_MAX_HYPOTHESES = 80  # best matches that may propose an alignment
_MIN_INLIERS = 5  # features that must agree
MAX_NEAR_ERROR = 0.12  # share of the query's longer side: farther matches do not nearly agree
# Tolerances of the vote: one feature's own scale and orientation are off by some percent, which
# grows with the distance from it.
_VOTE_ERROR = 6.0  # pixels, plus ...
_VOTE_ERROR_GROWTH = 0.15  # ... this share of the distance
_VOTE_ROTATION = 30  # degrees
_VOTE_SCALE = 1.7  # factor
# A richer model must explain this many times the inliers of a simpler one.
_AFFINE_MARGIN = 1.02
_HOMOGRAPHY_MARGIN = 1.05


@dataclass(frozen=True, eq=False)
class Matches:
    """Features of the query paired with features of the reference, most distinctive first.

    Attributes:
        query: float32 ``[M, 4]`` x, y, scale, angle (degrees).
        reference: float32 ``[M, 4]``.
        mirrored: ``query`` holds coordinates of the mirrored query.
    """

    query: F32
    reference: F32
    mirrored: bool

    def __len__(self) -> int:
        return len(self.query)

    def take(self, rows: Bools) -> Matches:
        """Select matches by a bool mask ``[M]``."""
        return Matches(self.query[rows], self.reference[rows], self.mirrored)


def match(
    query: Prepared, reference: Prepared, *, ratio: float, is_mirrored: bool = False
) -> Matches:
    """Match the features of two images by Lowe's ratio test.

    Args:
        query: the possible copy, mirrored beforehand if ``is_mirrored``.
        reference: the possible original.
        ratio: maximum distance of a match as a share of the second nearest feature's distance.
        is_mirrored: recorded in the result.
    """
    if len(query.points) == 0 or len(reference.points) < 2:
        return Matches(np.empty((0, 4), np.float32), np.empty((0, 4), np.float32), is_mirrored)
    similar = query.unit @ reference.unit.T
    rows = np.arange(len(similar))
    best = similar.argmax(axis=1)
    first = similar[rows, best]
    similar[rows, best] = -1.0
    second = similar.max(axis=1)
    # |a - b|^2 = 2 - 2 cos for unit vectors
    share = (1.0 - first) / np.maximum(1.0 - second, 1e-6)
    accepted = np.flatnonzero(share < ratio**2)
    accepted = accepted[np.argsort(share[accepted], kind="stable")]
    return Matches(_frames(query, accepted), _frames(reference, best[accepted]), is_mirrored)


def _frames(image: Prepared, rows: npt.NDArray[np.intp]) -> F32:
    """Position, scale and angle of features: float32 ``[len(rows), 4]``."""
    return np.column_stack([image.points[rows], image.scales[rows], image.angles[rows]]).astype(
        np.float32
    )


def all_matches(query: Prepared, reference: Prepared, settings: Settings) -> list[Matches]:
    """Match the plain reading and, if ``settings.mirrored``, the mirrored one."""
    readings = [match(query, reference, ratio=settings.ratio)]
    if settings.mirrored:
        readings.append(match(query.mirror, reference, ratio=settings.ratio, is_mirrored=True))
    return readings


def align(
    query: Prepared, reference: Prepared, readings: list[Matches], settings: Settings
) -> list[Alignment]:
    """Find up to ``settings.regions`` alignments, most agreeing features first.

    Args:
        query: the possible copy.
        reference: the possible original.
        readings: from :func:`all_matches`.
        settings: tolerance in pixels and number of regions.
    """
    alignments: list[Alignment] = []
    for matches in readings:
        rest = matches
        # Of each reading: chance alignments of one must not use up the slots of the other.
        for _ in range(2 * settings.regions):
            if len(rest) < _MIN_INLIERS:
                break
            fitted = _best_alignment(rest, matches, query, reference, settings)
            if fitted is None:
                break
            alignment, used = fitted
            alignments.append(alignment)
            rest = rest.take(~used)
    alignments.sort(key=lambda item: -item.inliers)
    # A second region needs more support than the first: accidental agreement of five is common
    # among many matches.
    return [
        item
        for rank, item in enumerate(alignments[: settings.regions])
        if rank == 0 or item.inliers >= 2 * _MIN_INLIERS
    ]


def _best_alignment(
    matches: Matches, every: Matches, query: Prepared, reference: Prepared, settings: Settings
) -> tuple[Alignment, Bools] | None:
    """Fit one alignment to ``matches``; return it and the matches that it explains.

    Nearly agreeing matches are counted among ``every`` match of the reading.
    """
    loose = loosely_agreeing(matches)
    if loose is None:
        return None
    fitted = fit_model(matches.take(loose), settings.tolerance, reference.shape)
    if fitted is None:
        return None
    scale = max(1.0, middle_scale(fitted, reference.shape))
    errors = transfer_errors(fitted, matches)
    close = errors < settings.tolerance * scale
    count = len(np.unique(np.rint(matches.reference[close, :2]), axis=0))
    if count < _MIN_INLIERS:
        return None
    all_errors = transfer_errors(fitted, every)
    limit = MAX_NEAR_ERROR * max(query.shape)
    near = int(np.sum((all_errors >= settings.tolerance * scale) & (all_errors < limit)))
    matrix = mirror_matrix(query.shape[1]) @ fitted if matches.mirrored else fitted
    residual = float(np.median(errors[close]) / scale)
    alignment = Alignment(matrix, matches.mirrored, count, near, residual)
    return alignment, errors < 2 * settings.tolerance * scale


def transfer_errors(matrix: Matrix, matches: Matches) -> F64:
    """Distance of each match from its position under ``matrix``: ``[M]`` pixels in the query."""
    moved = apply(matrix, matches.reference[:, :2].astype(np.float64))
    return np.asarray(np.linalg.norm(moved - matches.query[:, :2], axis=1))


def loosely_agreeing(matches: Matches) -> Bools | None:
    """Select the matches that loosely agree with the best single-match hypothesis."""
    count = min(len(matches), _MAX_HYPOTHESES)
    query, reference = matches.query.astype(np.float64), matches.reference.astype(np.float64)
    scale = query[:, 2] / reference[:, 2]
    turn = np.deg2rad(query[:, 3] - reference[:, 3])
    offset_q = query[None, :, :2] - query[:count, None, :2]
    offset_r = reference[None, :, :2] - reference[:count, None, :2]
    cos, sin = (scale * np.cos(turn))[:count, None], (scale * np.sin(turn))[:count, None]
    expected_x = cos * offset_r[..., 0] - sin * offset_r[..., 1]
    expected_y = sin * offset_r[..., 0] + cos * offset_r[..., 1]
    error = _length(expected_x - offset_q[..., 0], expected_y - offset_q[..., 1])
    allowed = _VOTE_ERROR + _VOTE_ERROR_GROWTH * _length(offset_q[..., 0], offset_q[..., 1])
    # An angle away from a whole turn, without the sine and cosine of every pair.
    rotated = np.abs(turn[None, :] - turn[:count, None])
    rotated -= 2 * np.pi * np.rint(rotated / (2 * np.pi))
    rotated = np.abs(rotated)
    log_scale = np.log(scale)
    stretched = np.abs(log_scale[None, :] - log_scale[:count, None])
    agree = (
        (error < allowed)
        & (rotated < np.deg2rad(_VOTE_ROTATION))
        & (stretched < np.log(_VOTE_SCALE))
    )
    weight = np.where(agree, 1.0 - error / allowed, 0.0).sum(axis=1)
    best = int(weight.argmax())
    return np.asarray(agree[best]) if agree[best].sum() >= _MIN_INLIERS else None


def _length(x: F64, y: F64) -> F64:
    """Length of vectors; ``numpy.hypot`` takes several times as long, to avoid overflows."""
    return np.asarray(np.sqrt(x * x + y * y))


def fit_model(matches: Matches, tolerance: float, shape: tuple[int, int]) -> Matrix | None:
    """Fit the simplest sane model that explains the matches: similarity, affine or homography.

    Args:
        matches: loosely agreeing matches.
        tolerance: pixels at a scale of 1.
        shape: (height, width) of the reference.

    Returns:
        float64 ``[3, 3]`` reference pixel -> query pixel; None where no model is sane.
    """
    source = np.ascontiguousarray(matches.reference[:, :2])
    target = np.ascontiguousarray(matches.query[:, :2])
    scale = max(1.0, float(np.median(matches.query[:, 2] / matches.reference[:, 2])))
    limit = tolerance * scale
    best, best_count = None, 0.0
    for matrix, margin in _fitted_models(source, target, limit):
        if not is_sane(matrix, shape):
            continue
        count = float(np.sum(transfer_errors(matrix, matches) < limit))
        if count > best_count * margin + 0.5:
            best, best_count = matrix, count
    return best


def _fitted_models(source: F32, target: F32, limit: float) -> list[tuple[Matrix, float]]:
    """Fit every model that has enough points: (matrix, factor by which it must beat simpler)."""
    models: list[tuple[Matrix, float]] = []
    similarity, _ = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=limit
    )
    if similarity is not None:
        models.append((np.vstack([similarity, [0, 0, 1]]), 1.0))
    if len(source) >= 6:
        affine, _ = cv2.estimateAffine2D(
            source, target, method=cv2.RANSAC, ransacReprojThreshold=limit
        )
        if affine is not None:
            models.append((np.vstack([affine, [0, 0, 1]]), _AFFINE_MARGIN))
    if len(source) >= 10:
        plane, _ = cv2.findHomography(
            source, target, cv2.USAC_MAGSAC, limit, maxIters=500, confidence=0.999
        )
        if plane is not None:
            models.append((plane, _HOMOGRAPHY_MARGIN))
    return models
