"""Align a pair by learned features, which survive edits that leave no SIFT feature in common.

Learned features have neither scale nor orientation, so a match is no hypothesis of its own: mutual
nearest neighbours are fitted robustly as they are. They stand scales up to about two and small
rotations; :mod:`asl.matching.align.feature_alignment` serves the others.
"""

from __future__ import annotations

import cv2
import numpy as np

from asl.matching.align.feature_alignment import (
    MAX_NEAR_ERROR,
    Matches,
    fit_model,
    transfer_errors,
)
from asl.matching.align.plane_geometry import middle_scale, mirror_matrix
from asl.matching.align.prepare import Prepared
from asl.matching.align.xfeat import LearnedFeatures
from asl.matching.values import Alignment, Matrix, Settings
from asl.types import F32, Bools

_MIN_COSINE = 0.82  # of two descriptors that match
_MIN_INLIERS = 15  # features that must agree
# Of 203 pairs that SIFT had aligned as they are, and that had 40 matches or more, none had more
# matches in the mirrored reading.
_RICH_MATCHES = 60


def learned_matches(query: Prepared, reference: Prepared, *, is_mirrored: bool = False) -> Matches:
    """Match mutual nearest neighbours whose cosine is at least 0.82, most similar first.

    Args:
        query: the possible copy, mirrored beforehand if ``is_mirrored``.
        reference: the possible original.
        is_mirrored: recorded in the result.

    Returns:
        Matches whose features all have scale 1 and angle 0.
    """
    return _mutual_matches(query.learned, reference.learned, is_mirrored=is_mirrored)


def softened_matches(query: Prepared, reference: Prepared) -> Matches:
    """Match the features of the blurred query, where those of the query itself do not agree."""
    return _mutual_matches(query.softened, reference.learned, is_mirrored=False)


def _mutual_matches(
    ours: LearnedFeatures, theirs: LearnedFeatures, *, is_mirrored: bool
) -> Matches:
    if not len(ours.points) or not len(theirs.points):
        return Matches(np.empty((0, 4), np.float32), np.empty((0, 4), np.float32), is_mirrored)
    similar = ours.descriptors @ theirs.descriptors.T
    best = similar.argmax(axis=1)
    rows = np.arange(len(best))
    cosine = similar[rows, best]
    # Along rows of its transpose: numpy has vectorised code for that, and none for columns.
    backwards = cv2.transpose(similar).argmax(axis=1)
    mutual = np.flatnonzero((backwards[best] == rows) & (cosine >= _MIN_COSINE))
    mutual = mutual[np.argsort(-cosine[mutual], kind="stable")]
    return Matches(_frames(ours.points[mutual]), _frames(theirs.points[best[mutual]]), is_mirrored)


def _frames(points: F32) -> F32:
    """Position, scale 1 and angle 0 of features: float32 ``[K, 4]``."""
    rest = np.tile(np.array([1.0, 0.0], dtype=np.float32), (len(points), 1))
    return np.column_stack([points, rest])


def all_learned_matches(
    query: Prepared, reference: Prepared, settings: Settings, *, is_plain: bool = False
) -> list[Matches]:
    """Match the plain reading and, if ``settings.mirrored``, the mirrored one.

    Args:
        query: the possible copy.
        reference: the possible original.
        settings: which readings there are.
        is_plain: the pair is known to be aligned as it is: features of the mirrored query, which
            take longer than all the rest, are detected only where the plain reading has so few
            matches that the mirrored one may have more.
    """
    readings = [learned_matches(query, reference)]
    if settings.mirrored and not (is_plain and len(readings[0]) >= _RICH_MATCHES):
        readings.append(learned_matches(query.mirror, reference, is_mirrored=True))
    return readings


def align_learned(
    query: Prepared, reference: Prepared, readings: list[Matches], settings: Settings
) -> list[Alignment]:
    """Find the alignment that most features agree with; none where fewer than 15 do.

    Args:
        query: the possible copy.
        reference: the possible original.
        readings: from :func:`all_learned_matches`.
        settings: tolerance in pixels.
    """
    alignments = []
    for matches in readings:
        if not _may_agree(matches, settings.tolerance):
            continue
        fitted = fit_model(matches, settings.tolerance, reference.shape)
        if fitted is None:
            continue
        agree, errors = agreeing(fitted, matches, reference.shape, settings.tolerance)
        if (count := int(agree.sum())) < _MIN_INLIERS:
            continue
        near = transfer_errors(fitted, matches) < MAX_NEAR_ERROR * max(query.shape)
        alignments.append(
            Alignment(
                mirror_matrix(query.shape[1]) @ fitted if matches.mirrored else fitted,
                matches.mirrored,
                count,
                int((near & ~agree).sum()),
                float(np.median(errors[agree])),
                learned=True,
            )
        )
    # The other reading agrees by chance: a picture is seen mirrored or not, not both ways.
    return sorted(alignments, key=lambda item: -item.inliers)[:1]


def _may_agree(matches: Matches, tolerance: float) -> bool:
    """Test if enough matches agree with the richest model: simpler ones have no more."""
    if len(matches) < _MIN_INLIERS:
        return False
    source = np.ascontiguousarray(matches.reference[:, :2])
    target = np.ascontiguousarray(matches.query[:, :2])
    limit = 2.0 * tolerance  # a reference that is shown enlarged is allowed for
    _, inliers = cv2.findHomography(
        source, target, cv2.USAC_MAGSAC, limit, maxIters=500, confidence=0.999
    )
    return inliers is not None and int(inliers.sum()) >= _MIN_INLIERS


def agreeing(
    matrix: Matrix, matches: Matches, shape: tuple[int, int], tolerance: float
) -> tuple[Bools, F32]:
    """Find the matches that agree with a matrix, and their distance in pixels of the reference.

    Args:
        matrix: reference -> query; -> mirrored query where ``matches.mirrored``.
        matches: of one reading.
        shape: (height, width) of the reference.
        tolerance: pixels at a scale of 1.
    """
    errors = transfer_errors(matrix, matches) / max(1.0, middle_scale(matrix, shape))
    return errors < tolerance, errors.astype(np.float32)
