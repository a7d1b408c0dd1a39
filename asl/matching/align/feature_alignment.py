"""Where the reference lies in the query, from local features.

Every match of two SIFT features already says how far, how large and how turned, so one match is one
guess at the alignment (as in the Hough scheme of Lowe 2004, §7.3). All guesses are weighed against
all matches at once, which needs no random draws; the best one is then fitted robustly with MAGSAC++
(Barath et al., CVPR 2020) from OpenCV.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from asl.matching.align.homography import apply, is_sane, middle_scale, mirror_matrix
from asl.matching.align.prepare import Prepared
from asl.matching.values import Alignment, Matrix, Settings

_F = npt.NDArray[np.float32]
_GUESSES = 80  # best matches that may propose an alignment
_LEAST = 5  # features that must agree


@dataclass(frozen=True, eq=False)
class Matches:
    """Features of the query paired with features of the reference, surest first.

    Attributes:
        query: float32 ``[M, 4]`` x, y, scale, angle (degrees).
        reference: float32 ``[M, 4]``.
        mirrored: the query was read mirrored: its coordinates here are those of the mirrored query.
    """

    query: _F
    reference: _F
    mirrored: bool

    def __len__(self) -> int:
        return len(self.query)

    def take(self, rows: npt.NDArray[np.bool_]) -> Matches:
        """Some of the matches."""
        return Matches(self.query[rows], self.reference[rows], self.mirrored)


def match(
    query: Prepared, reference: Prepared, *, ratio: float, is_mirrored: bool = False
) -> Matches:
    """Pair the features of two images by Lowe's ratio test (distance below ``ratio`` of the second best)."""
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
    kept = np.flatnonzero(share < ratio**2)
    kept = kept[np.argsort(share[kept], kind="stable")]
    return Matches(_frames(query, kept), _frames(reference, best[kept]), is_mirrored)


def _frames(image: Prepared, rows: npt.NDArray[np.intp]) -> _F:
    return np.column_stack([image.points[rows], image.scales[rows], image.angles[rows]]).astype(
        np.float32
    )


def all_matches(query: Prepared, reference: Prepared, settings: Settings) -> list[Matches]:
    """The matches of the plain reading and, where asked for, of the mirrored one."""
    readings = [match(query, reference, ratio=settings.ratio)]
    if settings.mirrored:
        readings.append(match(query.mirror, reference, ratio=settings.ratio, is_mirrored=True))
    return readings


def align(
    query: Prepared, reference: Prepared, readings: list[Matches], settings: Settings
) -> list[Alignment]:
    """Find up to ``settings.regions`` alignments, most agreeing features first.

    Args:
        query: the edited image, perhaps.
        reference: the original, perhaps.
        readings: from :func:`all_matches`.
        settings: tolerance in pixels and number of regions.
    """
    found: list[Alignment] = []
    for matches in readings:
        rest = matches
        for _ in range(
            2 * settings.regions
        ):  # of each reading: chance alignments of one must not starve the other
            if len(rest) < _LEAST:
                break
            fitted = _best_alignment(rest, matches, query, reference, settings)
            if fitted is None:
                break
            alignment, used = fitted
            found.append(alignment)
            rest = rest.take(~used)
    found.sort(key=lambda item: -item.inliers)
    # A second region needs more support than the first: accidental agreement of five is common
    # among many matches.
    return [
        item
        for place, item in enumerate(found[: settings.regions])
        if place == 0 or item.inliers >= 2 * _LEAST
    ]


def _best_alignment(
    matches: Matches, every: Matches, query: Prepared, reference: Prepared, settings: Settings
) -> tuple[Alignment, npt.NDArray[np.bool_]] | None:
    loose = _vote(matches)
    if loose is None:
        return None
    fitted = _fit(matches.take(loose), settings.tolerance, reference.shape)
    if fitted is None:
        return None
    scale = max(1.0, middle_scale(fitted, reference.shape))
    errors = transfer_errors(fitted, matches)
    close = errors < settings.tolerance * scale
    count = len(np.unique(np.rint(matches.reference[close, :2]), axis=0))
    if count < _LEAST:
        return None
    all_errors = transfer_errors(fitted, every)
    reach = 0.12 * max(query.shape)
    near = int(np.sum((all_errors >= settings.tolerance * scale) & (all_errors < reach)))
    matrix = mirror_matrix(query.shape[1]) @ fitted if matches.mirrored else fitted
    residual = float(np.median(errors[close]) / scale)
    alignment = Alignment(matrix, matches.mirrored, count, near, residual)
    return alignment, errors < 2 * settings.tolerance * scale


def transfer_errors(matrix: Matrix, matches: Matches) -> npt.NDArray[np.float64]:
    """``[M]`` pixels in the query between where a reference feature should be and where it is."""
    moved = apply(matrix, matches.reference[:, :2].astype(np.float64))
    return np.asarray(np.linalg.norm(moved - matches.query[:, :2], axis=1))


def _vote(matches: Matches) -> npt.NDArray[np.bool_] | None:
    """The matches that agree with the best single-match guess, loosely."""
    guesses = min(len(matches), _GUESSES)
    query, reference = matches.query.astype(np.float64), matches.reference.astype(np.float64)
    scale = query[:, 2] / reference[:, 2]
    turn = np.deg2rad(query[:, 3] - reference[:, 3])
    offset_q = query[None, :, :2] - query[:guesses, None, :2]
    offset_r = reference[None, :, :2] - reference[:guesses, None, :2]
    cos, sin = (scale * np.cos(turn))[:guesses, None], (scale * np.sin(turn))[:guesses, None]
    expected_x = cos * offset_r[..., 0] - sin * offset_r[..., 1]
    expected_y = sin * offset_r[..., 0] + cos * offset_r[..., 1]
    error = np.hypot(expected_x - offset_q[..., 0], expected_y - offset_q[..., 1])
    # One feature's own size and direction are off by some percent, which grows with the distance
    # from it.
    allowed = 6.0 + 0.15 * np.hypot(offset_q[..., 0], offset_q[..., 1])
    bent = np.abs(np.angle(np.exp(1j * (turn[None, :] - turn[:guesses, None]))))
    stretched = np.abs(np.log(scale[None, :] / scale[:guesses, None]))
    agree = (error < allowed) & (bent < np.deg2rad(30)) & (stretched < np.log(1.7))
    weight = np.where(agree, 1.0 - error / allowed, 0.0).sum(axis=1)
    best = int(weight.argmax())
    return np.asarray(agree[best]) if agree[best].sum() >= _LEAST else None


def _fit(matches: Matches, tolerance: float, shape: tuple[int, int]) -> Matrix | None:
    """A homography where the matches carry one, else an affine map, else a similarity; None when none is sane."""
    source = np.ascontiguousarray(matches.reference[:, :2])
    target = np.ascontiguousarray(matches.query[:, :2])
    scale = max(1.0, float(np.median(matches.query[:, 2] / matches.reference[:, 2])))
    reach = tolerance * scale
    best, best_count = None, 0.0
    for matrix, price in _candidates(source, target, reach):
        if not is_sane(matrix, shape):
            continue
        count = float(np.sum(transfer_errors(matrix, matches) < reach))
        if count > best_count * price + 0.5:
            best, best_count = matrix, count
    return best


def _candidates(source: _F, target: _F, reach: float) -> list[tuple[Matrix, float]]:
    """(matrix, by which factor it must beat a simpler one)."""
    found: list[tuple[Matrix, float]] = []
    similarity, _ = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=reach
    )
    if similarity is not None:
        found.append((np.vstack([similarity, [0, 0, 1]]), 1.0))
    if len(source) >= 6:
        affine, _ = cv2.estimateAffine2D(
            source, target, method=cv2.RANSAC, ransacReprojThreshold=reach
        )
        if affine is not None:
            found.append((np.vstack([affine, [0, 0, 1]]), 1.02))
    if len(source) >= 10:
        plane, _ = cv2.findHomography(
            source, target, cv2.USAC_MAGSAC, reach, maxIters=500, confidence=0.999
        )
        if plane is not None:
            found.append((plane, 1.05))
    return found
