"""What is left when one image is laid over the other: structure, tone, detail and what was added."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from asl.matching.evidence.overlay import Overlay
from asl.matching.values import Gray

_Mask = npt.NDArray[np.bool_]
_WINDOW = 9  # pixels, side of the window of the local correlation
NOISE = 5.0  # grey levels: contrast below this is noise of the encoder, not structure
_SAME = 0.8  # local correlation above this is the same structure
_CORE = 0.75  # local correlation above which a place belongs to what agrees
_FINEST = 1.2  # pixels, standard deviation of the blur that the finest detail does not survive
_RIM = 0.1  # share of the compared area's sides that is left out where frames must not count
DISAGREE = 0.55  # local correlation below this is disagreement


@dataclass(frozen=True, eq=False)
class Comparison:
    """How two aligned images agree.

    Attributes:
        correlation: float32 ``[h, w]`` local correlation on the overlay's grid, -1..1.
        judged: bool ``[h, w]`` where at least one of the two has structure.
        added: bool ``[h, w]`` compact pieces that disagree (overlay, text, sticker).
        values: the numbers for :class:`asl.matching.values.Evidence`.
    """

    correlation: Gray
    judged: _Mask
    added: _Mask
    values: dict[str, float]


def compare(overlay: Overlay) -> Comparison:
    """Compare an aligned pair."""
    query, reference = _smooth(overlay.query), _smooth(overlay.reference)
    correlation, contrast = local_correlation(query, reference)
    judged = overlay.mask & (contrast > NOISE)
    added, diffuse = _disagreement(correlation, judged)
    inside = int(overlay.mask.sum())
    kept = judged & ~added
    values = {
        **_quantiles(correlation, judged, kept),
        "corr_coarse": _coarse(overlay, 4, 0.1),
        "corr_tiny": _coarse(overlay, 8, 0.25),
        **_inner(overlay),
        "corr_fine": _fine(overlay, kept & (correlation > _SAME)),
        "gradient": _gradient_agreement(query, reference, kept),
        "tone": _tone(query, reference, overlay.mask & ~added),
        **_core(correlation, judged, overlay.mask),
        "diffuse": float(diffuse.sum()) / inside,
        "added": float(added.sum()) / inside,
        "added_box": _boxiness(correlation, judged),
        "detail": _detail(overlay, kept),
    }
    return Comparison(correlation, judged, added, values)


def agreement(overlay: Overlay) -> dict[str, float]:
    """The quantiles of the local correlation alone, as in :func:`compare`."""
    correlation, contrast = local_correlation(_smooth(overlay.query), _smooth(overlay.reference))
    judged = overlay.mask & (contrast > NOISE)
    added, _ = _disagreement(correlation, judged)
    return _quantiles(correlation, judged, judged & ~added)


def local_correlation(
    first: Gray, second: Gray, window: int = _WINDOW, *, floor: float = 4.0
) -> tuple[Gray, Gray]:
    """Correlation of two pictures in a sliding window, damped where both are flat, and the larger local contrast.

    Args:
        first: float32 ``[h, w]``.
        second: float32 ``[h, w]``.
        window: pixels, side of the window.
        floor: squared grey levels: variance below it counts as flat.

    Returns:
        float32 ``[h, w]`` -1..1 and float32 ``[h, w]`` grey levels.
    """

    def mean(picture: Gray) -> Gray:
        return np.asarray(
            cv2.boxFilter(picture, -1, (window, window), borderType=cv2.BORDER_REFLECT)
        )

    mean_a, mean_b = mean(first), mean(second)
    var_a = np.maximum(mean(first * first) - mean_a * mean_a, 0)
    var_b = np.maximum(mean(second * second) - mean_b * mean_b, 0)
    shared = mean(first * second) - mean_a * mean_b
    correlation = np.clip((shared + floor) / (np.sqrt(var_a * var_b) + floor), -1, 1)
    return correlation.astype(np.float32), np.sqrt(np.maximum(var_a, var_b)).astype(np.float32)


def _smooth(picture: Gray) -> Gray:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.9), dtype=np.float32)


def _quantiles(correlation: Gray, judged: _Mask, kept: _Mask) -> dict[str, float]:
    # Two flat pictures agree, but prove nothing.
    low, quarter, median = (
        np.quantile(correlation[judged], [0.1, 0.25, 0.5]) if judged.any() else (0.0, 0.0, 0.0)
    )
    outside = float(np.quantile(correlation[kept], 0.1)) if kept.any() else 0.0
    return {
        "corr_low": float(low),
        "corr_quarter": float(quarter),
        "corr_median": float(median),
        "corr_kept": outside,
    }


def _coarse(overlay: Overlay, factor: int, quantile: float) -> float:
    """A quantile of the correlation of the pair drawn ``factor`` times smaller."""
    correlation, judged, _ = _drawn_smaller(overlay, factor)
    return float(np.quantile(correlation[judged], quantile)) if judged.any() else 0.0


def _inner(overlay: Overlay) -> dict[str, float]:
    """How much structure there is away from the rim of what is compared, and how it agrees.

    Two photos in frames of one kind (slides, letterboxes, captions) agree along the rim.
    """
    correlation, judged, mask = _drawn_smaller(overlay, 4)
    high, wide = (max(1, round(_RIM * side)) for side in mask.shape)
    middle = np.zeros_like(mask)
    middle[high:-high, wide:-wide] = mask[high:-high, wide:-wide]
    within = judged & middle
    return {
        "corr_inner": float(np.median(correlation[within])) if within.any() else 0.0,
        "structure": float(within.sum() / max(1, middle.sum())),
    }


def _drawn_smaller(overlay: Overlay, factor: int) -> tuple[Gray, _Mask, _Mask]:
    """The local correlation of the pair drawn ``factor`` times smaller; where it is judged; where both have pixels."""
    height, width = overlay.mask.shape
    size = (max(8, width // factor), max(8, height // factor))
    small = [
        cv2.resize(p, size, interpolation=cv2.INTER_AREA)
        for p in (overlay.query, overlay.reference)
    ]
    mask = cv2.resize(overlay.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    correlation, contrast = local_correlation(small[0], small[1], window=5)
    return correlation, mask & (contrast > NOISE), mask


def _fine(overlay: Overlay, agreeing: _Mask) -> float:
    """Median local correlation of what a blur takes away, where the structure agrees; 0 where there is too little."""
    fine = [p - cv2.GaussianBlur(p, (0, 0), _FINEST) for p in (overlay.query, overlay.reference)]
    correlation, contrast = local_correlation(fine[0], fine[1], floor=0.25)
    judged = agreeing & (contrast > 1.0)
    return float(np.median(correlation[judged])) if judged.sum() >= 64 else 0.0


def _disagreement(correlation: Gray, judged: _Mask) -> tuple[_Mask, _Mask]:
    """(compact, thin): pieces that survive an opening, and lines that do not."""
    wrong = (judged & (correlation < DISAGREE)).astype(np.uint8)
    side = 2 * (max(7, min(wrong.shape) // 12) // 2) + 1
    core = cv2.morphologyEx(wrong, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    around = cv2.dilate(core, np.ones((_WINDOW, _WINDOW), np.uint8))
    compact = around > 0
    return compact, (wrong > 0) & ~compact


def _core(correlation: Gray, judged: _Mask, mask: _Mask) -> dict[str, float]:
    """The largest compact piece that agrees, and how well everything inside its outline agrees.

    Of a photo that was cropped and then pasted, a part of the compared area agrees and the scene
    around it does not; the outline of what agrees is free of disagreement. Who moves between two
    frames stands inside the outline.
    """
    nothing = {"core": 0.0, "core_low": 0.0, "core_holes": 1.0}
    agreeing = ((correlation > _CORE) & mask).astype(np.uint8)
    side = 2 * (max(5, min(mask.shape) // 24) // 2) + 1
    compact = cv2.morphologyEx(agreeing, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    outlines, _ = cv2.findContours(compact, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return nothing
    hull = np.zeros_like(agreeing)
    cv2.fillConvexPoly(hull, cv2.convexHull(max(outlines, key=cv2.contourArea)), 1)
    within = judged & (hull > 0)
    if within.sum() < 64:
        return nothing
    values = correlation[within]
    return {
        "core": float((hull > 0).sum() / mask.sum()),
        "core_low": float(np.quantile(values, 0.1)),
        "core_holes": float((values < DISAGREE).mean()),
    }


def _boxiness(correlation: Gray, judged: _Mask) -> float:
    """How much of its smallest rectangle the largest piece that disagrees fills; 0 where there is none.

    What was pasted on is often a rectangle, somebody who moved is none.
    """
    wrong = (judged & (correlation < DISAGREE)).astype(np.uint8)
    side = 2 * (max(7, min(wrong.shape) // 16) // 2) + 1
    joined = cv2.morphologyEx(wrong, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    joined = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    outlines, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return 0.0
    largest = max(outlines, key=cv2.contourArea)
    width, height = cv2.minAreaRect(largest)[1]
    return float(min(1.0, cv2.contourArea(largest) / max(width * height, 1.0)))


def _gradient_agreement(query: Gray, reference: Gray, kept: _Mask) -> float:
    """Mean cosine between the gradients of both, weighted by the weaker one's length."""
    qx, qy = cv2.Sobel(query, cv2.CV_32F, 1, 0), cv2.Sobel(query, cv2.CV_32F, 0, 1)
    rx, ry = cv2.Sobel(reference, cv2.CV_32F, 1, 0), cv2.Sobel(reference, cv2.CV_32F, 0, 1)
    length_q, length_r = np.sqrt(qx * qx + qy * qy), np.sqrt(rx * rx + ry * ry)
    weight = np.minimum(length_q, length_r) * kept
    total = float(weight.sum())
    cosine = (qx * rx + qy * ry) / (length_q * length_r + 1e-3)
    return float((weight * cosine).sum() / total) if total > 1e-3 else 0.0


def _tone(query: Gray, reference: Gray, mask: _Mask) -> float:
    """Share of the query's variance that the best curve reference brightness -> query brightness explains."""
    if mask.sum() < 64:
        return 0.0
    values = query[mask]
    total = float(values.var())
    if total < NOISE**2 / 4:
        return 0.0
    level = np.clip(reference[mask] / 8, 0, 31).astype(np.intp)
    counts = np.bincount(level, minlength=32)
    means = np.bincount(level, weights=values, minlength=32) / np.maximum(counts, 1)
    return float(np.clip(1.0 - ((values - means[level]) ** 2).mean() / total, 0.0, 1.0))


def _detail(overlay: Overlay, kept: _Mask) -> float:
    """ln(detail of the query / detail of the reference): below 0 where the query is the blurred one."""
    if kept.sum() < 64:
        return 0.0
    energy = [
        float(np.abs(cv2.Laplacian(p, cv2.CV_32F))[kept].mean())
        for p in (overlay.query, overlay.reference)
    ]
    spread = [float(p[kept].std()) for p in (overlay.query, overlay.reference)]
    ratio = (energy[0] + 0.5) / (energy[1] + 0.5) * (spread[1] + 2.0) / (spread[0] + 2.0)
    return float(np.clip(np.log(ratio), -3.0, 3.0))
