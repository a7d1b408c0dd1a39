"""What a smooth bend explains: waves, lenses and swirls move pixels as no homography does.

After the best homography, the matches that it leaves nearby say roughly where the picture went, a
thin plate through them (Bookstein, PAMI 1989) says it everywhere, and dense optical flow (DIS;
Kroeger et al., ECCV 2016, from OpenCV) says how far every pixel of the reference still is from its
place in the query. The flow is smoothed, so that it can bend the picture and cannot paint another
one, and the pair is compared again. A copy that was bent agrees now; another frame of the same
scene, whose parts move on their own and cover each other, does not.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
from scipy.interpolate import RBFInterpolator
from scipy.spatial import KDTree

from asl.matching.align.feature_alignment import Matches
from asl.matching.align.homography import apply, inverse, mirror_matrix
from asl.matching.evidence.agreement import DISAGREE, NOISE, local_correlation
from asl.matching.evidence.overlay import Overlay
from asl.matching.values import Alignment, Gray

_Flow = npt.NDArray[np.float32]
# pixels, both sides of the square on which the flow is computed; OpenCV's DIS crashes on narrow
# images
_GRID = 256
_SMOOTH = (0.04, 0.02)  # standard deviation of the smoothing in each round, share of the side
_REACH = 0.15  # share of the side: how far a match may be from its alignment to count as bent
_ODD = 0.025  # share of the side: how far a match may move from the median of those around it
_AROUND = 8  # matches that are around one
_KNOTS = 17  # points, both sides of the lattice on which the thin plate is computed
_AGREE = 0.75  # local correlation from which on a place counts as found
_LEAST_SIDE = 16  # pixels, below which there is nothing to bend
_LEAST_WRONG = 256  # pixels of the square that must disagree before it is asked where they went


def unbend(overlay: Overlay, start: _Flow | None = None) -> tuple[Overlay, dict[str, float]] | None:
    """The overlay with its reference bent onto its query; None where it is too small.

    Args:
        overlay: an aligned pair.
        start: a guess at the flow, from :func:`matched_flow`.

    Returns:
        The new overlay; and ``bend``: how far the bend is from an affine map (root mean square),
        and ``rough``: the median of what the smoothing took away from the flow, both on the square,
        so across as shares of the overlay's width and down as shares of its height; and ``moved``:
        the share of what disagrees that the flow finds a little elsewhere in the reference. What
        was pasted on is nowhere there; somebody who walks past a camera that stands still is.
    """
    height, width = overlay.mask.shape
    if min(height, width) < _LEAST_SIDE:
        return None
    query, straight = _squared(overlay.query), _squared(overlay.reference)
    inside = (
        cv2.resize(overlay.mask.astype(np.uint8), (_GRID, _GRID), interpolation=cv2.INTER_NEAREST)
        > 0
    )
    total = raw = np.zeros((_GRID, _GRID, 2), dtype=np.float32) if start is None else start
    reference = _moved(straight, total)
    for share in _SMOOTH:
        step = np.asarray(_engine().calc(_bytes(query), _bytes(reference), None), dtype=np.float32)
        raw = step + _moved(total, step)
        total = _smoothed(raw, inside, share * _GRID)
        reference = _moved(straight, total)
    rough = float(np.median(np.linalg.norm((raw - total)[inside], axis=1)))
    moved = _found_elsewhere(query, straight, _moved(straight, raw), inside)
    values = {"bend": _not_affine(total, inside) / _GRID, "rough": rough / _GRID, "moved": moved}
    flow = (
        cv2.resize(total, (width, height), interpolation=cv2.INTER_LINEAR)
        * np.array([width, height], dtype=np.float32)
        / _GRID
    )
    return replace(overlay, reference=_moved(overlay.reference, flow)), values


def matched_flow(
    overlay: Overlay, alignment: Alignment, matches: Matches, width: int
) -> _Flow | None:
    """The flow that local features suggest, for :func:`unbend`; None where too few of them agree with those around.

    Args:
        overlay: the pair laid over each other by the alignment.
        alignment: reference -> query.
        matches: of the alignment's reading.
        width: of the query, in pixels.
    """
    in_query = matches.query[:, :2].astype(np.float64)
    if matches.mirrored:
        in_query = apply(mirror_matrix(width), in_query)
    height, wide = overlay.mask.shape
    shrink = _GRID / np.array([wide, height], dtype=np.float64)
    to_grid = inverse(overlay.to_query)
    place = apply(to_grid, in_query) * shrink
    move = (
        apply(to_grid @ alignment.matrix, matches.reference[:, :2].astype(np.float64)) * shrink
        - place
    )
    near = (np.linalg.norm(move, axis=1) < _REACH * _GRID) & np.all(
        (place >= 0) & (place < _GRID), axis=1
    )
    _, once = np.unique(np.rint(place[near]), axis=0, return_index=True)
    place, move = place[near][once], move[near][once]
    if len(place) <= _AROUND:
        return None
    _, around = KDTree(place).query(place, k=_AROUND + 1)
    usual = np.median(move[around[:, 1:]], axis=1)
    kept = np.linalg.norm(move - usual, axis=1) < _ODD * _GRID
    if kept.sum() <= 2 * _AROUND:
        return None
    plate = RBFInterpolator(place[kept], move[kept], kernel="thin_plate_spline", smoothing=4.0)
    side = np.linspace(0, _GRID - 1, _KNOTS)
    lattice = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    flow = (
        np.clip(plate(lattice), -_REACH * _GRID, _REACH * _GRID)
        .reshape(_KNOTS, _KNOTS, 2)
        .astype(np.float32)
    )
    return np.asarray(
        cv2.resize(flow, (_GRID, _GRID), interpolation=cv2.INTER_CUBIC), dtype=np.float32
    )


def _engine() -> cv2.DISOpticalFlow:
    # Made anew for each pair: it keeps nothing between calls, and building it costs microseconds.
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)


def _found_elsewhere(
    query: Gray, reference: Gray, followed: Gray, mask: npt.NDArray[np.bool_]
) -> float:
    """Share of the disagreement with the reference that is gone where every pixel follows the flow."""
    before, contrast = local_correlation(query, reference)
    wrong = mask & (contrast > NOISE) & (before < DISAGREE)
    if wrong.sum() < _LEAST_WRONG:
        return 0.0
    after, _ = local_correlation(query, followed)
    return float((after[wrong] > _AGREE).mean())


def _squared(picture: Gray) -> Gray:
    return np.asarray(
        cv2.resize(picture, (_GRID, _GRID), interpolation=cv2.INTER_AREA), dtype=np.float32
    )


def _bytes(picture: Gray) -> npt.NDArray[np.uint8]:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _moved(picture: Gray, flow: _Flow) -> Gray:
    """``picture`` looked up at p + flow(p) for every pixel p."""
    height, width = flow.shape[:2]
    x = flow[..., 0] + np.arange(width, dtype=np.float32)
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _smoothed(flow: _Flow, mask: npt.NDArray[np.bool_], sigma: float) -> _Flow:
    """The flow blurred inside the mask only (normalised convolution)."""
    weight = mask.astype(np.float32)
    total = cv2.GaussianBlur(flow * weight[..., None], (0, 0), sigma)
    share = cv2.GaussianBlur(weight, (0, 0), sigma)
    return np.asarray(total / (share + 1e-3)[..., None], dtype=np.float32)


def _not_affine(flow: _Flow, mask: npt.NDArray[np.bool_]) -> float:
    """Pixels, root mean square of the flow without the affine map that fits it best."""
    y, x = np.nonzero(mask)
    places = np.column_stack([np.ones(len(x)), x, y])
    moves = flow[mask].astype(np.float64)
    fitted = places @ np.linalg.lstsq(places, moves, rcond=None)[0]
    return float(np.sqrt(((moves - fitted) ** 2).sum(axis=1).mean()))
