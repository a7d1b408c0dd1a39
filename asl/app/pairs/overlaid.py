"""Tell which of two aligned pictures had something laid over it: text, a sticker, a pasted picture.

What lies on a photograph ends in an edge; in the other picture the photograph continues there. A
place that is blurred or pixelated shows the same in rough, so nothing was laid over either.
"""

from __future__ import annotations

import cv2
import numpy as np

from asl.types import F32, Bools

_LEAST_CHANGE = 20.0  # levels by which pixels differ where something was laid over them, at least
_CHANGE_RATIO = 4.0  # the same, relative to the median difference
# Levels: above it the tones differ, or the noise, and the places tell nothing.
_MOST_DIFFERENCE = 6.0
# Log ratio of the gradients where the two agree, above which one is sharper as a whole.
_MOST_SHARPER = 0.12
_LEAST_AREA = 40  # changed pixels of a place
_LEAST_EDGE = 24  # pixels along its edge
_REACH = 9  # pixels, side of the square that joins letters to words
_EDGE_RATIO = 0.4  # log ratio of the gradients along the edge, from which one has an edge
_EDGE_SHARE = 0.7  # share of the edge along which its gradient is the larger one, at least
_EDGE_ODDS = 4.0  # of that share to the share along which the other's is
_STEEPER = 4.0  # levels a pixel by which a gradient has to be larger
_MOST_ALIKE = 0.75  # correlation of the place in both, above which it shows the same
_ROUGHLY_ALIKE = 0.7  # the same after a blur by an eighth of its side
_MOST_SHIFT = 0.3  # mean by mean absolute difference: a blur changes single pixels, not their mean
_LEAST_ROUGH_AREA = 600  # changed pixels of a place that is compared in rough
_MOST_OPEN = 0.34  # area of the places that tell nothing, relative to those that tell
_GRAY = np.array([0.299, 0.587, 0.114], np.float32)


def overlaid(first: F32, second: F32, mask: Bools) -> int:
    """Tell which of two aligned pictures had something laid over it.

    Args:
        first: float32 ``[h, w, 3]`` RGB 0..255.
        second: the other picture on the same grid.
        mask: bool ``[h, w]``, pixels that both have.

    Returns:
        1 for the first, -1 for the second; 0 where neither was, both were, or it cannot be told.
    """
    difference = np.abs(cv2.GaussianBlur(first - second, (0, 0), 0.8)).max(axis=2)
    median = float(np.median(difference[mask]))
    if median > _MOST_DIFFERENCE:
        return 0
    limit = max(_LEAST_CHANGE, _CHANGE_RATIO * median)
    changed = _compact(mask & (difference > limit))
    if not changed.any():
        return 0
    same = mask & ~changed
    gradients = _gradient(first), _gradient(second)
    if _sharper_as_a_whole(gradients, same):
        return 0
    edge = mask & _dilated(changed) & _dilated(same)
    _, places = cv2.connectedComponents(_dilated(changed, _REACH).astype(np.uint8))
    sides = []
    for number in range(1, int(places.max()) + 1):
        place = changed & (places == number)
        around = edge & (places == number)
        area = int(place.sum())
        if area >= _LEAST_AREA and around.sum() >= _LEAST_EDGE:
            shown = first[place], second[place]
            alike = _are_alike(shown) or _are_roughly_alike((first, second), place)
            sides.append((area, 0 if alike else _edged(*(g[around] for g in gradients))))
    return _joint(sides)


def _compact(changed: Bools) -> Bools:
    """Close gaps of a few pixels, and remove single pixels and thin lines."""
    closed = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return np.asarray(cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0)


def _dilated(mask: Bools, side: int = 3) -> Bools:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)


def _gradient(picture: F32) -> F32:
    """Steepest change of any channel at each pixel, float32 ``[h, w]`` levels a pixel."""
    smooth = cv2.GaussianBlur(picture, (0, 0), 0.8)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *order) / 4 for order in ((1, 0), (0, 1)))
    return np.asarray(np.hypot(across, down).max(axis=2), dtype=np.float32)


def _sharper_as_a_whole(gradients: tuple[F32, F32], same: Bools) -> bool:
    """Check that one picture is sharper where the two agree, or that they agree nowhere."""
    quiet = cv2.erode(same.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if not quiet.any():
        return True
    first, second = (float(gradient[quiet].mean()) + 0.5 for gradient in gradients)
    return abs(float(np.log(first / second))) > _MOST_SHARPER


def _edged(first: F32, second: F32) -> int:
    """Compare the gradients along the edge of a place: 1 or -1 for the one with an edge, or 0."""
    ratio = float(np.log((first.mean() + 2) / (second.mean() + 2)))
    if abs(ratio) < _EDGE_RATIO:
        return 0
    steep, other = (first, second) if ratio > 0 else (second, first)
    share, against = (
        float((steep > other + _STEEPER).mean()),
        float((other > steep + _STEEPER).mean()),
    )
    is_edge = share >= _EDGE_SHARE and share >= _EDGE_ODDS * against
    return (1 if ratio > 0 else -1) if is_edge else 0


def _are_alike(shown: tuple[F32, F32]) -> bool:
    """Check that two pictures show the same in the N pixels ``[N, 3]`` of a place."""
    return _correlation(*(_GRAY @ pixels.T for pixels in shown)) > _MOST_ALIKE


def _are_roughly_alike(pictures: tuple[F32, F32], place: Bools) -> bool:
    """Check that a place shows the same but for its detail: one is blurred or pixelated there."""
    area = int(place.sum())
    difference = (pictures[0] - pictures[1])[place]
    shift = np.abs(difference.mean(axis=0)).max() / (np.abs(difference).mean(axis=0).max() + 1)
    if area <= _LEAST_ROUGH_AREA or shift >= _MOST_SHIFT:
        return False
    blur = max(1.0, float(np.sqrt(area)) / 8)
    rough = (cv2.GaussianBlur(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), (0, 0), blur) for p in pictures)
    return _correlation(*(gray[place] for gray in rough)) > _ROUGHLY_ALIKE


def _correlation(first: F32, second: F32) -> float:
    first, second = first - first.mean(), second - second.mean()
    spread = float(np.sqrt((first**2).mean() * (second**2).mean()))
    return float((first * second).mean()) / (spread + 4.0)


def _joint(sides: list[tuple[int, int]]) -> int:
    """Join the (area, side) of all places.

    Returns:
        The side of those that tell, where they agree, the largest place is one of them, and the
        others are small; else 0.
    """
    told = {side for _, side in sides if side}
    if len(told) != 1 or not max(sides)[1]:
        return 0
    telling = sum(area for area, side in sides if side)
    open_area = sum(area for area, side in sides if not side)
    return told.pop() if open_area <= _MOST_OPEN * telling else 0
