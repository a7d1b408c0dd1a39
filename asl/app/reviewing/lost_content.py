"""Check by the pixels of two files that nothing is lost when one of them goes.

The verifier compares small pictures and decides whether one was made from the other. To remove a
file without a person takes more: its pixels have to follow from those of the file that stays, by a
change of size and tones, blur and compression alone. What is put over a picture, a thing that moved
between two shots of a burst, the other line of two screens, and grain of its own do not follow.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from asl.app.families.likeness import whole_pixels
from asl.app.pairs.pair_verdict import Outline
from asl.types import F32, F64, U8, Bools

MOST_SIDE = 1600  # pixels of the going picture at which it is compared
LEAST_SHOWN = 0.96  # share of the going picture that the staying one has to show
LEAST_PIXELS = 1000  # compared pixels below which nothing is certain
MOST_COHERENT = 14.0  # grey levels of difference that survive smoothing
COHERENT_CONTRAST = 0.22  # and share of the contrast around by which they may be larger
LEAST_FINE = 0.86  # correlation of the finest detail
LEAST_GRAIN = 0.5  # share of the grain in plain areas that comes from the staying picture
SEEN_GRAIN = 0.8  # grey levels from which grain can be compared
BLURS = (0.0, 0.6, 1.0, 1.6, 2.4)  # sigmas in pixels that are tried on the staying picture
_WHOLE: Outline = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
_SAMPLES, _TERMS = 20_000, 10  # pixels and terms of the fit of the tones
_STIFFNESS = 1e-4  # against tones that change where the going picture shows none
_STEPS = 40  # of the refinement
_MOST_MOVED = 0.02  # of the longer side, by the refinement

SHOWS_MORE = "shows more than the file that stays"
DIFFERS = "something in it is not in the file that stays"
OWN_DETAIL = "could be another shot: its fine detail is its own"
NOT_ALIGNED = "could not be compared pixel by pixel"


def lost_content(staying: U8, going: U8, staying_outline: Outline, going_outline: Outline) -> str:
    """Return what would be lost with a picture; empty if it follows from the staying one.

    Args:
        staying: uint8 ``[H, W, 3]`` RGB.
        going: uint8 ``[h, w, 3]`` RGB.
        staying_outline: corners of the shared area as shares 0..1 of the staying picture; empty for
            pictures that are identical at the size that the scan compares.
        going_outline: the same corners in the going picture.

    Returns:
        One of the reasons above, for people.
    """
    going = _reduced(going, MOST_SIDE / max(going.shape[:2]))
    matrix = _alignment(staying.shape, going.shape, staying_outline, going_outline)
    if matrix is None:
        return NOT_ALIGNED
    staying, matrix = _near_scale(staying, going.shape, matrix)
    matrix = whole_pixels(_refined(staying, going, matrix), staying.shape)
    mask = _shown(staying.shape, going.shape, matrix)
    if mask.any() and mask.mean() < LEAST_SHOWN:
        return SHOWS_MORE
    if mask.sum() < LEAST_PIXELS:
        return NOT_ALIGNED
    size = going.shape[1::-1]
    warped = cv2.warpPerspective(
        staying, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    inner = cv2.erode(mask.astype(np.uint8), np.ones((7, 7), np.uint8), borderValue=0) > 0
    return _difference(going.astype(np.float32), warped.astype(np.float32), inner)


def _reduced(image: U8, factor: float) -> U8:
    """Shrink by area; larger factors leave the picture as it is."""
    if factor >= 1.0:
        return image
    size = tuple(max(1, round(side * factor)) for side in image.shape[1::-1])
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _alignment(
    staying: tuple[int, ...],
    going: tuple[int, ...],
    staying_outline: Outline,
    going_outline: Outline,
) -> F64 | None:
    """Homography from the staying picture to the going one; pixel centres are whole numbers."""
    if not staying_outline:
        staying_outline = going_outline = _WHOLE
    if len(staying_outline) < 4 or len(staying_outline) != len(going_outline):
        return None
    on_staying = np.array(staying_outline) * [staying[1], staying[0]] - 0.5
    on_going = np.array(going_outline) * [going[1], going[0]] - 0.5
    matrix, _ = cv2.findHomography(on_staying, on_going)
    if matrix is None or not np.all(np.isfinite(matrix)) or abs(np.linalg.det(matrix)) < 1e-12:
        return None
    return np.asarray(matrix, np.float64)


def _near_scale(staying: U8, going: tuple[int, ...], matrix: F64) -> tuple[U8, F64]:
    """Shrink the staying picture to the scale of the going one, so that warping skips no pixel."""
    middle = cv2.perspectiveTransform(
        np.array([[[going[1] / 2, going[0] / 2]]], np.float64), np.linalg.inv(matrix)
    )[0, 0]
    depth = float(matrix[2] @ [*middle, 1.0])
    scale = math.sqrt(abs(float(np.linalg.det(matrix))) / max(abs(depth) ** 3, 1e-12))
    small = _reduced(staying, scale)
    return small, np.asarray(matrix @ _scaling(small, staying), np.float64)


def _refined(staying: U8, going: U8, matrix: F64) -> F64:
    """Refine an alignment by ECC, coarse to fine; the given one where that leads nowhere."""
    longest = max(going.shape[:2])
    best = matrix
    for side in (400, MOST_SIDE):
        factor = min(1.0, side / longest)
        best = _refined_at(staying, going, best, factor)
        if factor == 1.0:
            break
    moved = np.abs(_corners(best, staying.shape) - _corners(matrix, staying.shape)).max()
    return best if moved <= max(3.0, _MOST_MOVED * longest) else matrix


def _refined_at(staying: U8, going: U8, matrix: F64, factor: float) -> F64:
    """One level: both pictures shrunk by a factor."""
    small, target = (_reduced(image, factor) for image in (staying, going))
    into, out = (_scaling(*pair) for pair in ((staying, small), (target, going)))
    start = np.linalg.inv(np.linalg.inv(out) @ matrix @ np.linalg.inv(into))
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, 1e-6)
    first, second = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (target, small))
    everything = np.ones(first.shape, np.uint8)
    try:
        _, found = cv2.findTransformECC(
            first,
            second,
            (start / start[2, 2]).astype(np.float32),
            cv2.MOTION_HOMOGRAPHY,
            stop,
            everything,
            3,
        )
        refined = np.linalg.inv(found.astype(np.float64))
    except (cv2.error, np.linalg.LinAlgError):  # nothing varies, or it did not converge
        return matrix
    return np.asarray(out @ refined @ into, np.float64)


def _scaling(before: U8, after: U8) -> F64:
    """Map pixels of a picture to those of the same picture in another size."""
    x, y = after.shape[1] / before.shape[1], after.shape[0] / before.shape[0]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]], np.float64)


def _corners(matrix: F64, shape: tuple[int, ...]) -> F64:
    right, bottom = shape[1] - 1.0, shape[0] - 1.0
    points = np.array([[[0.0, 0.0]], [[right, 0.0]], [[0.0, bottom]], [[right, bottom]]])
    return np.asarray(cv2.perspectiveTransform(points, matrix)[:, 0], np.float64)


def _shown(staying: tuple[int, ...], going: tuple[int, ...], matrix: F64) -> Bools:
    """Pixels of the going picture that the staying one shows, too."""
    whole = np.ones(staying[:2], np.uint8)
    mask = cv2.warpPerspective(whole, matrix, going[1::-1], flags=cv2.INTER_NEAREST)
    return np.asarray(mask > 0)


def _difference(going: F32, staying: F32, mask: Bools) -> str:
    """Compare two pictures on one grid, float32 ``[h, w, 3]``."""
    model = _explained(going, staying, mask)
    if _largest_excess(going, model, mask) > 1.0:
        return DIFFERS
    return OWN_DETAIL if _has_own_detail(going, model, mask) else ""


def _blurred(image: F32, sigma: float) -> F32:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32) if sigma else image


def _explained(going: F32, staying: F32, mask: Bools) -> F32:
    """Predict the going picture: the staying one blurred, with one curve for each channel."""
    rows = np.flatnonzero(mask)
    rows = rows[:: max(1, len(rows) // _SAMPLES)]
    target = going.reshape(-1, 3)[rows]
    fits = [
        (*_fitted(_terms(_blurred(staying, sigma).reshape(-1, 3)[rows]), target), sigma)
        for sigma in BLURS
    ]
    weights, _, sigma = min(fits, key=lambda fit: fit[1])
    model = _terms(_blurred(staying, sigma).reshape(-1, 3)) @ weights
    return np.asarray(np.clip(model.reshape(going.shape), 0, 255), np.float32)


def _fitted(terms: F32, target: F32) -> tuple[F32, float]:
    """Fit robustly; return the weights, ``[terms, 3]``, and the mean error of all pixels.

    Tones of which the going picture has none are expected to stay as they are: a free curve would
    turn the black of a text that it lacks into the colour of its paper.
    """
    same = np.zeros((_TERMS, 3), np.float32)
    same[1:4] = 255 * np.eye(3)
    columns = [_curve(terms, target[:, channel], same[:, channel]) for channel in range(3)]
    weights = np.stack(columns, axis=1)
    error = np.abs(target - np.clip(terms @ weights, 0, 255))
    return weights, float(error.mean())


def _curve(terms: F32, target: F32, same: F32) -> F32:
    """Fit one channel: ``same`` plus the change that the pixels ask for."""
    usable = (target > 1) & (target < 254)  # what was clipped follows no curve
    if usable.sum() < _TERMS:
        return same
    weights, kept = same, usable
    for _ in range(3):
        x = terms[kept].astype(np.float64)
        penalty = _STIFFNESS * len(x) * np.eye(_TERMS)
        change = np.linalg.solve(x.T @ x + penalty, x.T @ (target[kept] - x @ same))
        weights = (same + change).astype(np.float32)
        error = np.abs(target - np.clip(terms @ weights, 0, 255))
        kept = usable & (error <= max(2.5 * float(np.median(error[usable])), 2.0))
    return weights


def _terms(pixels: F32) -> F32:
    """Powers of the channels, ``[n, 10]``, of pixels ``[n, 3]``."""
    unit = pixels / 255
    return np.concatenate([np.ones((len(unit), 1), np.float32), unit, unit**2, unit**3], axis=1)


def _largest_excess(going: F32, model: F32, mask: Bools) -> float:
    """Largest difference that compression does not make, in units of what is allowed.

    Compression and another resampling change signs from pixel to pixel; what is there in one
    picture only does not.
    """
    weight = mask.astype(np.float32)
    difference = cv2.GaussianBlur((going - model) * weight[..., None], (0, 0), 2.0)
    contrast = np.minimum(_contrast(going), _contrast(model))  # text in one of them is none
    allowed = MOST_COHERENT + COHERENT_CONTRAST * contrast
    return float((np.abs(difference).max(axis=2) / allowed)[mask].max())


def _contrast(image: F32) -> F32:
    """Standard deviation of the brightness around each pixel."""
    light = image.mean(axis=2)
    mean, square = (cv2.GaussianBlur(x, (0, 0), 4.0) for x in (light, light**2))
    return np.asarray(np.sqrt(np.maximum(square - mean**2, 0)), np.float32)


def _has_own_detail(going: F32, model: F32, mask: Bools) -> bool:
    """Check for fine detail that the model does not have: another shot has its own grain."""
    fine, expected = (
        (image - cv2.GaussianBlur(image, (0, 0), 1.2)).mean(axis=2) for image in (going, model)
    )
    energy = cv2.GaussianBlur(expected**2, (0, 0), 4.0)
    busy = mask & (energy > np.quantile(energy[mask], 0.5))
    if float(fine[busy].std()) > SEEN_GRAIN and _correlation(fine, expected, busy) < LEAST_FINE:
        return True
    plain = mask & (energy <= np.quantile(energy[mask], 0.3))
    own = float((fine[plain] ** 2).mean())
    shared = float((fine[plain] * expected[plain]).mean())
    return math.sqrt(own) > SEEN_GRAIN and shared < LEAST_GRAIN * own


def _correlation(first: F32, second: F32, mask: Bools) -> float:
    a, b = first[mask], second[mask]
    return float((a * b).mean()) / max(math.sqrt(float((a**2).mean() * (b**2).mean())), 1e-6)
