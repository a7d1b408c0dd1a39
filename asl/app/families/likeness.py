"""Measure how little differs between two aligned pictures: a copy is closest to its parent.

A copy differs from its parent by one edit and one compression, from its grandparent by two, and
from a sibling by those of both. The difference shows where the alignment is exact, so it is
refined by ECC (Evangelidis and Psarakis, IEEE PAMI 2008) on the pixels of the thumbnails, and by
whole pixels where neither turning nor scaling remains: a crop that was saved again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import cv2
import numpy as np

from asl.app.pairs.pair_verdict import Outline, PairVerdict
from asl.types import F32, F64, U8, Bools

_WHOLE: Outline = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
_LEAST_PIXELS = 200  # aligned pixels below which nothing is measured
_MOST_REFINED = 6.0  # pixels that the refined corners may move
_MOST_SLACK = 0.7  # pixels by which the corners may be off a shift by whole pixels
_ITERATIONS = 30
_OUTLIER = 2.5  # robust standard deviations from which a pixel does not count for the tones


@dataclass(frozen=True)
class Likeness:
    """Differences of an aligned pair (first, second), in grey levels where nothing else is said.

    Attributes:
        median: median difference of the pixels.
        high: 90th percentile.
        mean: mean.
        first_median: median difference that is left of the first once the second's tones are
            fitted to it.
        first_high: 90th percentile of that.
        first_mean: mean of that.
        second_median: the same of the second.
        second_high: the same.
        second_mean: the same.
        tone: difference of the mean colours.
        contrast: ln of the first's standard deviation over the second's.
        saturation: ln of the first's mean channel spread over the second's.
        fine: correlation of the finest detail.
        detail: ln of the first's finest detail over the second's.
    """

    median: float
    high: float
    mean: float
    first_median: float
    first_high: float
    first_mean: float
    second_median: float
    second_high: float
    second_mean: float
    tone: float
    contrast: float
    saturation: float
    fine: float
    detail: float

    def flipped(self) -> Likeness:
        """Return the likeness with first and second exchanged."""
        return replace(
            self,
            first_median=self.second_median,
            first_high=self.second_high,
            first_mean=self.second_mean,
            second_median=self.first_median,
            second_high=self.first_high,
            second_mean=self.first_mean,
            contrast=-self.contrast,
            saturation=-self.saturation,
            detail=-self.detail,
        )

    def values(self) -> list[float]:
        """Values in the order of the attributes."""
        return list(asdict(self).values())


def measure_likeness(first: U8, second: U8, verdict: PairVerdict) -> Likeness | None:
    """Compare the aligned pixels of a pair.

    Args:
        first: uint8 ``[H, W, 3]`` RGB.
        second: uint8 ``[h, w, 3]`` RGB.
        verdict: of the pair; its outlines are the alignment.

    Returns:
        None where the pair has no alignment, or too little is shared.
    """
    edits = (*verdict.edits_forward, *verdict.edits_backward)
    if "inverted" in edits:
        first = np.asarray(255 - first, dtype=np.uint8)
    matrix = _alignment(first.shape, second.shape, verdict)
    if matrix is None:
        return None
    # On the pixels of the one that shows the shared part smaller.
    if _scale(matrix, second.shape) <= 1.0:
        return _compare(first, second, matrix)
    other = _compare(second, first, np.asarray(np.linalg.inv(matrix), np.float64))
    return other.flipped() if other else None


def _alignment(first: tuple[int, ...], second: tuple[int, ...], verdict: PairVerdict) -> F64 | None:
    """Homography second -> first by the outlines; identical pixels cover each other."""
    outlines = verdict.first_outline, verdict.second_outline
    if not outlines[0] and verdict.share_first == verdict.share_second == 1.0:
        outlines = _WHOLE, _WHOLE
    if len(outlines[0]) < 4:
        return None
    on_first, on_second = (
        np.array(outline) * [shape[1] - 1.0, shape[0] - 1.0]
        for outline, shape in zip(outlines, (first, second), strict=True)
    )
    matrix, _ = cv2.findHomography(on_second, on_first)
    if matrix is None or abs(np.linalg.det(matrix)) < 1e-9:
        return None
    return np.asarray(matrix, np.float64)


def _scale(matrix: F64, shape: Sequence[int]) -> float:
    """Side of a pixel in the middle of a picture after the homography."""
    depth = float(matrix[2] @ [shape[1] / 2, shape[0] / 2, 1.0])
    return math.sqrt(abs(float(np.linalg.det(matrix))) / max(abs(depth) ** 3, 1e-9))


def _compare(grid: U8, other: U8, matrix: F64) -> Likeness | None:
    """Compare on the pixels of ``grid``; ``matrix`` maps the other picture to it."""
    scale = _scale(matrix, other.shape)
    if scale < 0.9:  # detail that the grid cannot hold
        other = np.asarray(
            cv2.GaussianBlur(other, (0, 0), 0.5 * math.sqrt(scale**-2 - 1)), np.uint8
        )
    matrix = whole_pixels(_refined(grid, other, matrix), other.shape)
    mask = _mask(grid, other, matrix)
    if mask.sum() < _LEAST_PIXELS:
        return None
    size = grid.shape[1::-1]
    warped = cv2.warpPerspective(other, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return _differences(grid.astype(np.float32), warped.astype(np.float32), mask)


def _mask(grid: U8, other: U8, matrix: F64) -> Bools:
    """Pixels that both pictures show, without a margin."""
    whole = np.ones(other.shape[:2], np.uint8)
    mask = cv2.warpPerspective(whole, matrix, grid.shape[1::-1], flags=cv2.INTER_NEAREST)
    return np.asarray(cv2.erode(mask, np.ones((5, 5), np.uint8), borderValue=0) > 0)


def _refined(grid: U8, other: U8, matrix: F64) -> F64:
    """Refine a homography by ECC; the given one where that leads away or nowhere."""
    first, second = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (grid, other))
    start = np.asarray(np.linalg.inv(matrix), np.float64)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ITERATIONS, 1e-5)
    mask = _mask(grid, other, matrix).astype(np.uint8)
    try:
        _, found = cv2.findTransformECC(
            first,
            second,
            (start / start[2, 2]).astype(np.float32),
            cv2.MOTION_HOMOGRAPHY,
            stop,
            mask,
            3,
        )
        refined = np.asarray(np.linalg.inv(found.astype(np.float64)), np.float64)
    except (cv2.error, np.linalg.LinAlgError):  # nothing varies, or it did not converge
        return matrix
    moved = np.abs(_corners(refined, other.shape) - _corners(matrix, other.shape)).max()
    return refined if moved < _MOST_REFINED else matrix


def whole_pixels(matrix: F64, shape: Sequence[int]) -> F64:
    """Round an alignment that is nearly a shift, or a mirror image, by whole pixels."""
    corners = _corners(matrix, shape)
    for mirror in (1.0, -1.0):
        plain = _corners(np.diag([mirror, 1.0, 1.0]), shape)
        shift = (corners - plain).mean(axis=0)
        if np.abs(corners - plain - shift).max() < _MOST_SLACK:
            x, y = np.rint(shift)
            return np.array([[mirror, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])
    return matrix


def _corners(matrix: F64, shape: Sequence[int]) -> F64:
    right, bottom = shape[1] - 1.0, shape[0] - 1.0
    points = np.array([[[0.0, 0.0]], [[right, 0.0]], [[0.0, bottom]], [[right, bottom]]])
    return np.asarray(cv2.perspectiveTransform(points, matrix)[:, 0], np.float64)


def _differences(first: F32, second: F32, mask: Bools) -> Likeness:
    """Measure the differences of two pictures on one grid, float32 ``[h, w, 3]``."""
    a, b = first[mask], second[mask]
    plain = _channel_mean(np.abs(a - b))
    fine_a, fine_b = (
        _channel_mean(image - cv2.GaussianBlur(image, (0, 0), 1.2))[mask]
        for image in (first, second)
    )
    energy = math.sqrt(float((fine_a**2).mean()) * float((fine_b**2).mean()) + 1e-3)
    spread_a, spread_b = (float(_channel_spread(x).mean()) for x in (a, b))
    return Likeness(
        *_three(plain),
        *_three(_unexplained(a, b)),
        *_three(_unexplained(b, a)),
        tone=float(np.abs(a.mean(axis=0) - b.mean(axis=0)).mean()),
        contrast=math.log((float(a.std()) + 1) / (float(b.std()) + 1)),
        saturation=math.log((spread_a + 2) / (spread_b + 2)),
        fine=float((fine_a * fine_b).mean()) / energy,
        detail=math.log((float(fine_a.std()) + 0.3) / (float(fine_b.std()) + 0.3)),
    )


def _three(values: F32) -> tuple[float, float, float]:
    return float(np.median(values)), float(np.quantile(values, 0.9)), float(values.mean())


def _line(x: F32, y: F32) -> tuple[float, float]:
    """Least-squares slope and offset of a line through points; level where x hardly varies.

    The closed form: a general solver takes much longer for a hundred thousand points.
    """
    centre, level = float(x.mean(dtype=np.float64)), float(y.mean(dtype=np.float64))
    moved = x - np.float32(centre)
    spread = float(np.dot(moved, moved))
    if spread <= len(x):  # a standard deviation of one grey level
        return 0.0, level
    slope = float(np.dot(moved, y - np.float32(level))) / spread
    return slope, level - slope * centre


def _unexplained(wanted: F32, given: F32) -> F32:
    """Mean absolute error ``[n]`` after a robust linear fit of each channel, ``[n, 3]``."""
    error = np.empty_like(wanted)
    for channel in range(wanted.shape[1]):
        x, y = given[:, channel], wanted[:, channel]
        kept = np.ones(len(x), bool)
        for _ in range(2):
            slope, offset = _line(x[kept], y[kept])
            error[:, channel] = y - (slope * x + offset)
            deviation = np.abs(error[:, channel])
            kept = deviation <= _OUTLIER * max(1.48 * float(np.median(deviation)), 1.0)
    return _channel_mean(np.abs(error))


def _channel_mean(values: F32) -> F32:
    """Mean of three channels, ``[..., 3]``; numpy is slow at many sums of three numbers."""
    return np.asarray((values[..., 0] + values[..., 1] + values[..., 2]) / np.float32(3.0))


def _channel_spread(values: F32) -> F32:
    """Largest less smallest of three channels, ``[n, 3]``."""
    largest = np.maximum(np.maximum(values[:, 0], values[:, 1]), values[:, 2])
    smallest = np.minimum(np.minimum(values[:, 0], values[:, 1]), values[:, 2])
    return np.asarray(largest - smallest)
