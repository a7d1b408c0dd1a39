"""Dense alignment for pairs with too few local features: blurred, pixelised, tiny or plain images.

One image is reduced and searched for inside the other by normalised cross-correlation (Lewis 1995)
over scales, right-angle turns and the mirrored reading. The best position is refined by maximising
the enhanced correlation coefficient (ECC; Evangelidis & Psarakis, PAMI 2008) from OpenCV.
"""

from __future__ import annotations

import cv2
import numpy as np

from asl.matching.align.plane_geometry import is_sane, mirror_matrix
from asl.matching.align.prepare import Prepared
from asl.matching.align.sift import MIN_SIDE
from asl.matching.values import Alignment, Gray, Matrix

_SEARCH_SIDE = 48  # pixels of the longer side during the search
_REFINE_SIDE = 128  # pixels of the longer side during refinement
# Sides of the template relative to the largest that fits.
_TEMPLATE_SCALES = (1.0, 0.85, 0.72, 0.6, 0.5, 0.4)
_MIN_TEMPLATE_SIDE = 8  # pixels
_MIN_PEAK = 0.72  # correlation below which the pair counts as not aligned
_MIN_CONTRAST = 4.0  # grey levels; a plain template correlates with anything
_SMALL_TEMPLATE_PENALTY = 0.15  # taken off a peak: small templates reach high peaks by chance


def align_dense(query: Prepared, reference: Prepared, *, mirrored: bool = True) -> list[Alignment]:
    """Find the best alignment by correlation.

    Both containments are searched: the whole query inside the reference (a crop) and the whole
    reference inside the query (padding, screenshot).

    Args:
        query: the possible copy.
        reference: the possible original.
        mirrored: also try the mirrored reading.

    Returns:
        One alignment, or none where no correlation is high enough.
    """
    if min(*query.shape, *reference.shape) < MIN_SIDE:
        return []
    small_q, small_r = _shrink(query.gray, _SEARCH_SIDE), _shrink(reference.gray, _SEARCH_SIDE)
    # Half of the readings have one shape, half the other: reference templates are shared.
    reference_templates: dict[tuple[int, ...], list[Gray]] = {}
    best_peak, best = _MIN_PEAK, None
    for is_mirrored in (False, True) if mirrored else (False,):
        for turns in range(4):
            turned, undo = _reading(small_q, turns, is_mirrored)
            if turned.shape not in reference_templates:
                reference_templates[turned.shape] = _templates(small_r, turned.shape)
            peak, between = _search(turned, small_r, reference_templates[turned.shape])
            if peak > best_peak:
                best_peak, best = peak, (undo @ between, is_mirrored)
    if best is None:
        return []
    to_small_q, to_small_r = _scaling(query.gray, small_q), _scaling(reference.gray, small_r)
    matrix = _refine(query, reference, np.linalg.inv(to_small_q) @ best[0] @ to_small_r)
    return [Alignment(matrix, best[1], dense=True)]


def _search(turned: Gray, reference: Gray, reference_templates: list[Gray]) -> tuple[float, Matrix]:
    """Best correlation of one reading of the query, and reference -> query (both reduced)."""
    peak_in, inside = _match_templates(_templates(turned, reference.shape), turned, reference)
    peak_out, outside = _match_templates(reference_templates, reference, turned)
    if peak_in >= peak_out:
        return peak_in, np.asarray(np.linalg.inv(inside), dtype=np.float64)
    return peak_out, outside


def _reading(picture: Gray, turns: int, is_mirrored: bool) -> tuple[Gray, Matrix]:
    """Mirror the picture (if asked), turn it by ``turns`` x 90 degrees; return it and the undo."""
    picture = picture[:, ::-1] if is_mirrored else picture
    height, width = picture.shape
    back = np.eye(3)
    if turns == 1:
        back = np.array([[0.0, -1, width - 1], [1, 0, 0], [0, 0, 1]])
    elif turns == 2:
        back = np.array([[-1.0, 0, width - 1], [0, -1, height - 1], [0, 0, 1]])
    elif turns == 3:
        back = np.array([[0.0, 1, 0], [-1, 0, height - 1], [0, 0, 1]])
    undo: Matrix = mirror_matrix(width) @ back if is_mirrored else back
    return np.ascontiguousarray(np.rot90(picture, turns)), undo


def _shrink(picture: Gray, size: int) -> Gray:
    """Scale a picture so that its longer side has ``size`` pixels."""
    factor = size / max(picture.shape)
    target = (max(4, round(picture.shape[1] * factor)), max(4, round(picture.shape[0] * factor)))
    return np.asarray(cv2.resize(picture, target, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _scaling(large: Gray, small: Gray) -> Matrix:
    """Matrix from pixel centres of ``large`` to pixel centres of ``small``."""
    x, y = small.shape[1] / large.shape[1], small.shape[0] / large.shape[0]
    return np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1.0]])


def _templates(picture: Gray, field: tuple[int, ...]) -> list[Gray]:
    """Draw the picture at every template size for a field of that shape; omit plain templates."""
    fitting = min(field[0] / picture.shape[0], field[1] / picture.shape[1])
    shapes = [
        tuple(max(4, int(side * fitting * scale)) for side in picture.shape)
        for scale in _TEMPLATE_SCALES
    ]
    templates = []
    for shape in [field, *shapes]:  # the first is squeezed to the field's own aspect
        if min(shape) < _MIN_TEMPLATE_SIDE:
            continue
        small = cv2.resize(picture, shape[::-1], interpolation=cv2.INTER_AREA)
        if float(cv2.meanStdDev(small)[1][0, 0]) >= _MIN_CONTRAST:
            templates.append(np.asarray(small, dtype=np.float32))
    return templates


def _match_templates(templates: list[Gray], picture: Gray, field: Gray) -> tuple[float, Matrix]:
    """Best correlation of the picture at several sizes inside the field, and picture -> field."""
    best_peak, best = -1.0, np.eye(3)
    for template in templates:
        scores = cv2.matchTemplate(field, template, cv2.TM_CCOEFF_NORMED)
        _, highest, _, (column, row) = cv2.minMaxLoc(scores)
        if not -1.01 < highest < 1.01:  # not finite where the field is flat
            scores = np.nan_to_num(scores, nan=-1.0, posinf=-1.0, neginf=-1.0)
            _, highest, _, (column, row) = cv2.minMaxLoc(scores)
        peak = float(highest) - _SMALL_TEMPLATE_PENALTY * (1.0 - template.size / field.size)
        if peak > best_peak:
            moved = np.array([[1.0, 0, column], [0, 1, row], [0, 0, 1]])
            best_peak, best = peak, moved @ _scaling(picture, template)
    return best_peak, best


def _refine(query: Prepared, reference: Prepared, matrix: Matrix) -> Matrix:
    """Refine by ECC with an affine map at 128 pixels; return the start if it does not converge."""
    small_q, small_r = _shrink(query.gray, _REFINE_SIDE), _shrink(reference.gray, _REFINE_SIDE)
    to_q, to_r = _scaling(query.gray, small_q), _scaling(reference.gray, small_r)
    start = to_q @ matrix @ np.linalg.inv(to_r)
    warp = np.ascontiguousarray(start[:2] / start[2, 2], dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    try:
        # OpenCV's map goes template -> input: the reference is the template.
        _, affine = cv2.findTransformECC(small_r, small_q, warp, cv2.MOTION_AFFINE, stop, None, 5)
    except cv2.error:
        return matrix
    refined: Matrix = np.linalg.inv(to_q) @ np.vstack([affine.astype(np.float64), [0, 0, 1]]) @ to_r
    upright = (
        refined if np.linalg.det(refined[:2, :2]) > 0 else mirror_matrix(query.shape[1]) @ refined
    )
    return refined if is_sane(upright, reference.shape) else matrix
