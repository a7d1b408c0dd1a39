"""Look at a pair at a glance: do the pixels agree where features or frames coincide?

A comparison reads both pictures several times. Of most look-alikes a first, coarse look says the
same: few local features agree, the pictures differ where these lay them over each other, and they
differ where their frames are laid over each other. It takes a twentieth of the time.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np

from asl.matching.align.agreeing_features import LEAST_AGREEING
from asl.matching.align.feature_alignment import Matches, all_matches, loosely_agreeing
from asl.matching.align.prepare import Prepared
from asl.matching.evidence.agreement import NOISE, local_correlation
from asl.matching.values import Gray, Matrix, Settings
from asl.types import Bools

_SIDE = 64  # pixels of the longer side of the grid on which two pictures are compared
_FRAME = 48  # pixels, both sides of pictures whose frames are laid over each other
_LEVELS = 3  # of the pyramid, each of half the size of the one before
_BLUR = 0.8  # pixels
_WINDOW = 7  # pixels, side of the window of the local correlation
_LEAST_PIXELS = 64  # with structure, below which there is no agreement


class Glance(NamedTuple):
    """First, coarse look at a pair.

    Attributes:
        agreeing: number of SIFT features that agree on one shift, scale and rotation, in the
            reading in which most do (as it is, mirrored, as a negative, both).
        aligned: median local correlation where they lay the pictures over each other, -1..1; of
            several readings the highest; 0 without any.
        direct: the same with frame on frame: as it is, mirrored, as a negative, both.
    """

    agreeing: int
    aligned: float
    direct: float


class GlancedPicture:
    """A prepared picture and its small versions, which are made once.

    Attributes:
        prepared: with its SIFT features.
    """

    def __init__(self, prepared: Prepared) -> None:
        """Take a prepared picture; its learned features are not needed."""
        self.prepared = prepared

    @cached_property
    def levels(self) -> list[Gray]:
        """Brightness at full, half and a quarter of the working size."""
        levels = [self.prepared.gray]
        for _ in range(_LEVELS - 1):
            height, width = levels[-1].shape
            size = (max(1, width // 2), max(1, height // 2))
            small = cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA)
            levels.append(np.asarray(small, dtype=np.float32))
        return levels

    @cached_property
    def grid(self) -> Gray:
        """Brightness at 64 pixels of the longer side."""
        height, width = self.prepared.shape
        factor = _SIDE / max(height, width)
        size = (max(8, round(width * factor)), max(8, round(height * factor)))
        return _resized(self.prepared.gray, size)

    @cached_property
    def frame(self) -> Gray:
        """Brightness at 48 x 48 pixels, whatever the shape."""
        return _resized(self.prepared.gray, (_FRAME, _FRAME))


def glance(query: GlancedPicture, reference: GlancedPicture, settings: Settings) -> Glance:
    """Look at a pair.

    Args:
        query: a picture.
        reference: another one.
        settings: of the matches.
    """
    agreeing, aligned = 0, 0.0
    for is_negative in (False, True):
        image = query.prepared.negative if is_negative else query.prepared
        for matches in all_matches(image, reference.prepared, settings):
            loose = loosely_agreeing(matches) if len(matches) >= LEAST_AGREEING else None
            if loose is None:
                continue
            agreeing = max(agreeing, int(loose.sum()))
            found = _aligned(query, reference, matches.take(loose), is_negative=is_negative)
            aligned = max(aligned, found)
    return Glance(agreeing, aligned, _direct(query, reference))


def _direct(query: GlancedPicture, reference: GlancedPicture) -> float:
    """Agreement with frame on frame."""
    ours, theirs = query.frame, reference.frame
    readings = (ours, np.ascontiguousarray(ours[:, ::-1]))
    # A negative correlates by the opposite.
    found = [value for reading in readings for value in _agreements(reading, theirs)]
    return max(found)


def _aligned(
    query: GlancedPicture, reference: GlancedPicture, matches: Matches, *, is_negative: bool
) -> float:
    """Agreement where a similarity, fitted to agreeing matches, lays one over the other."""
    fitted, _ = cv2.estimateAffinePartial2D(
        np.ascontiguousarray(matches.reference[:, :2]),
        np.ascontiguousarray(matches.query[:, :2]),
        method=cv2.LMEDS,
    )
    if fitted is None:
        return 0.0
    matrix: Matrix = np.vstack([fitted, [0.0, 0.0, 1.0]])
    if matches.mirrored:
        width = query.prepared.shape[1]
        matrix = np.array([[-1.0, 0.0, width - 1.0], [0, 1, 0], [0, 0, 1]]) @ matrix
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    if not 0.02 < scale < 50.0:
        return 0.0
    grid, other = query, reference
    if scale > 1.0:  # on the pixels of the one that shows the common part smaller
        grid, other = reference, query
        matrix, scale = np.asarray(np.linalg.inv(matrix), dtype=np.float64), 1.0 / scale
    drawn, mask = _drawn(grid, other, matrix, scale)
    agreement, opposite = _agreements(grid.grid, drawn, mask)
    return opposite if is_negative else agreement


def _drawn(
    grid: GlancedPicture, other: GlancedPicture, matrix: Matrix, scale: float
) -> tuple[Gray, Bools]:
    """Draw the other picture on the grid of one; and the mask of its pixels.

    Args:
        grid: picture on whose small version the other one is drawn.
        other: picture.
        matrix: other -> grid, at working size.
        scale: of that matrix, at most 1.
    """
    height, width = grid.grid.shape
    shrink = width / grid.prepared.shape[1]
    # The level with no more than twice the pixels that are drawn.
    wanted = int(np.clip(np.floor(-np.log2(scale * shrink)), 0, _LEVELS - 1))
    level = other.levels[wanted]
    to_level = np.diag(
        [level.shape[1] / other.prepared.shape[1], level.shape[0] / other.prepared.shape[0], 1.0]
    )
    to_grid = np.diag([shrink, height / grid.prepared.shape[0], 1.0])
    between = to_grid @ matrix @ np.linalg.inv(to_level)
    drawn = cv2.warpPerspective(
        level, between, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    whole = np.ones(level.shape, dtype=np.uint8)
    mask = cv2.warpPerspective(whole, between, (width, height), flags=cv2.INTER_NEAREST)
    return np.asarray(drawn, dtype=np.float32), np.asarray(mask > 0)


def _agreements(first: Gray, second: Gray, mask: Bools | None = None) -> tuple[float, float]:
    """Median local correlation of two pictures, and of one with the other's negative."""
    one, other = (cv2.GaussianBlur(picture, (0, 0), _BLUR) for picture in (first, second))
    correlation, contrast = local_correlation(one, other, window=_WINDOW)
    structured = contrast > NOISE if mask is None else mask & (contrast > NOISE)
    if int(structured.sum()) < _LEAST_PIXELS:
        return 0.0, 0.0
    middle = float(np.median(correlation[structured]))
    return middle, -middle


def _resized(picture: Gray, size: tuple[int, int]) -> Gray:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
