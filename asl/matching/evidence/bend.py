"""Estimate a smooth bend of an aligned pair: waves, lenses and swirls are no homographies.

After the best homography, nearly agreeing matches give a coarse displacement, a thin plate spline
through them (Bookstein, PAMI 1989) extends it to every pixel, and dense optical flow (DIS; Kroeger
et al., ECCV 2016, from OpenCV) measures the remaining displacement. The flow is smoothed, so that
it can bend the picture but cannot paint another one, and the pair is compared again. A bent copy
agrees afterwards; another frame of the same scene, whose parts move on their own and cover each
other, does not.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from asl.matching.align.feature_alignment import Matches
from asl.matching.align.plane_geometry import apply, inverse, mirror_matrix
from asl.matching.evidence.agreement import DISAGREE, NOISE, local_correlation
from asl.matching.evidence.overlay import Overlay
from asl.matching.evidence.quantile import quantile
from asl.matching.values import Alignment, Gray
from asl.types import F32, U8, Bools

# Pixels, both sides of the square on which the flow is computed; OpenCV's DIS crashes on narrow
# images.
_GRID = 256
_SMOOTHING = (0.04, 0.02)  # standard deviation of the smoothing in each round, share of the side
_MAX_DISPLACEMENT = 0.15  # share of the side: farther matches do not belong to the bend
_MAX_DEVIATION = 0.025  # share of the side: distance of a match from its neighbours' median
_NEIGHBOURS = 8  # matches whose median a match is compared with
_KNOTS = 17  # points, both sides of the lattice on which the thin plate spline is computed
_PLATE_SMOOTHING = 4.0  # smoothing of the thin plate spline, squared pixels
_AGREE = 0.75  # local correlation from which a pixel counts as recovered
_MIN_SIDE = 16  # pixels below which no bend is estimated
_MIN_DISAGREEMENT = 256  # pixels of the square that must disagree before they are searched for


def unbend(overlay: Overlay, start: F32 | None = None) -> tuple[Overlay, dict[str, float]] | None:
    """Bend the reference of an overlay onto the query; None where the overlay is too small.

    Args:
        overlay: an aligned pair.
        start: initial flow, float32 ``[256, 256, 2]``, from :func:`matched_flow`.

    Returns:
        The new overlay, and three measurements: ``bend``, root mean square distance of the flow
        from an affine map; ``rough``, median distance of the raw from the smoothed flow (both
        horizontally as a share of the overlay's width, vertically of its height); ``moved``, share
        of the disagreement that the raw flow recovers nearby in the reference. A pasted picture is
        nowhere in the reference; a person who walks past a static camera is.
    """
    height, width = overlay.mask.shape
    if min(height, width) < _MIN_SIDE:
        return None
    query, straight = _squared(overlay.query), _squared(overlay.reference)
    inside = (
        cv2.resize(overlay.mask.astype(np.uint8), (_GRID, _GRID), interpolation=cv2.INTER_NEAREST)
        > 0
    )
    total = raw = np.zeros((_GRID, _GRID, 2), dtype=np.float32) if start is None else start
    reference = _follow(straight, total)
    for share in _SMOOTHING:
        step = np.asarray(
            _optical_flow().calc(_bytes(query), _bytes(reference), None), dtype=np.float32
        )
        raw = step + _follow(total, step)
        total = _smoothed(raw, inside, share * _GRID)
        reference = _follow(straight, total)
    rough = quantile(cv2.magnitude(*cv2.split(raw - total))[inside], 0.5)
    moved = _recovered_share(query, straight, _follow(straight, raw), inside)
    values = {"bend": _not_affine(total, inside) / _GRID, "rough": rough / _GRID, "moved": moved}
    flow = (
        cv2.resize(total, (width, height), interpolation=cv2.INTER_LINEAR)
        * np.array([width, height], dtype=np.float32)
        / _GRID
    )
    return replace(overlay, reference=_follow(overlay.reference, flow)), values


def matched_flow(
    overlay: Overlay, alignment: Alignment, matches: Matches, width: int
) -> F32 | None:
    """Estimate the initial flow of :func:`unbend` from local features.

    Args:
        overlay: the pair, overlaid by the alignment.
        alignment: reference -> query.
        matches: of the alignment's reading.
        width: of the query, in pixels.

    Returns:
        float32 ``[256, 256, 2]``; None where too few matches agree with their neighbours.
    """
    in_query = matches.query[:, :2].astype(np.float64)
    if matches.mirrored:
        in_query = apply(mirror_matrix(width), in_query)
    overlay_height, overlay_width = overlay.mask.shape
    shrink = _GRID / np.array([overlay_width, overlay_height], dtype=np.float64)
    # A quarter of a second to import, for pairs that bend.
    from scipy.interpolate import RBFInterpolator
    from scipy.spatial import KDTree

    to_grid = inverse(overlay.to_query)
    position = apply(to_grid, in_query) * shrink
    displacement = (
        apply(to_grid @ alignment.matrix, matches.reference[:, :2].astype(np.float64)) * shrink
        - position
    )
    near = (np.linalg.norm(displacement, axis=1) < _MAX_DISPLACEMENT * _GRID) & np.all(
        (position >= 0) & (position < _GRID), axis=1
    )
    _, once = np.unique(np.rint(position[near]), axis=0, return_index=True)
    position, displacement = position[near][once], displacement[near][once]
    if len(position) <= _NEIGHBOURS:
        return None
    _, neighbours = KDTree(position).query(position, k=_NEIGHBOURS + 1)
    usual = np.median(displacement[neighbours[:, 1:]], axis=1)
    consistent = np.linalg.norm(displacement - usual, axis=1) < _MAX_DEVIATION * _GRID
    if consistent.sum() <= 2 * _NEIGHBOURS:
        return None
    plate = RBFInterpolator(
        position[consistent],
        displacement[consistent],
        kernel="thin_plate_spline",
        smoothing=_PLATE_SMOOTHING,
    )
    side = np.linspace(0, _GRID - 1, _KNOTS)
    lattice = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    flow = (
        np.clip(plate(lattice), -_MAX_DISPLACEMENT * _GRID, _MAX_DISPLACEMENT * _GRID)
        .reshape(_KNOTS, _KNOTS, 2)
        .astype(np.float32)
    )
    return np.asarray(
        cv2.resize(flow, (_GRID, _GRID), interpolation=cv2.INTER_CUBIC), dtype=np.float32
    )


def _optical_flow() -> cv2.DISOpticalFlow:
    """Create the flow estimator; it has no state worth keeping and costs microseconds."""
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)


def _recovered_share(query: Gray, reference: Gray, followed: Gray, mask: Bools) -> float:
    """Share of the disagreement with the reference that vanishes where pixels follow the flow."""
    before, contrast = local_correlation(query, reference)
    wrong = mask & (contrast > NOISE) & (before < DISAGREE)
    if wrong.sum() < _MIN_DISAGREEMENT:
        return 0.0
    after, _ = local_correlation(query, followed)
    return float((after[wrong] > _AGREE).mean())


def _squared(picture: Gray) -> Gray:
    """Resize a picture to the square on which the flow is computed."""
    return np.asarray(
        cv2.resize(picture, (_GRID, _GRID), interpolation=cv2.INTER_AREA), dtype=np.float32
    )


def _bytes(picture: Gray) -> U8:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _follow(picture: Gray, flow: F32) -> Gray:
    """Sample ``picture`` at p + flow(p) for every pixel p."""
    height, width = flow.shape[:2]
    x = flow[..., 0] + np.arange(width, dtype=np.float32)
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _smoothed(flow: F32, mask: Bools, sigma: float) -> F32:
    """Blur the flow inside the mask only (normalised convolution)."""
    weight = mask.astype(np.float32)
    total = cv2.GaussianBlur(flow * weight[..., None], (0, 0), sigma)
    share = cv2.GaussianBlur(weight, (0, 0), sigma)
    return np.asarray(total / (share + 1e-3)[..., None], dtype=np.float32)


def _not_affine(flow: F32, mask: Bools) -> float:
    """Root mean square distance of the flow from its best affine map, in pixels."""
    rows, columns = np.nonzero(mask)
    # Centred columns: the normal equations lose nothing, and take a fifth of a decomposition.
    positions = np.stack([np.ones(len(rows)), columns - columns.mean(), rows - rows.mean()])
    displacements = np.stack([channel[mask] for channel in cv2.split(flow)]).astype(np.float64)
    affine = np.linalg.lstsq(positions @ positions.T, positions @ displacements.T, rcond=None)[0]
    displacements -= affine.T @ positions
    return float(np.sqrt((displacements * displacements).sum() / len(rows)))
