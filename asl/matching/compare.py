"""What is left when one image is laid over the other: structure, tone, detail and what was added."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from asl.matching.overlay import Overlay
from asl.matching.values import Gray

_Mask = npt.NDArray[np.bool_]
_WINDOW = 9  # pixels, side of the window of the local correlation
NOISE = 5.0  # grey levels: contrast below this is noise of the encoder, not structure
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
        "corr_coarse": _coarse(overlay),
        "gradient": _gradient_agreement(query, reference, kept),
        "tone": _tone(query, reference, overlay.mask & ~added),
        "diffuse": float(diffuse.sum()) / inside,
        "added": float(added.sum()) / inside,
        "detail": _detail(overlay, kept),
    }
    return Comparison(correlation, judged, added, values)


def agreement(overlay: Overlay) -> dict[str, float]:
    """The quantiles of the local correlation alone, as in :func:`compare`."""
    correlation, contrast = local_correlation(_smooth(overlay.query), _smooth(overlay.reference))
    judged = overlay.mask & (contrast > NOISE)
    added, _ = _disagreement(correlation, judged)
    return _quantiles(correlation, judged, judged & ~added)


def local_correlation(first: Gray, second: Gray, window: int = _WINDOW) -> tuple[Gray, Gray]:
    """Correlation of two pictures in a sliding window, damped where both are flat, and the larger local contrast.

    Returns:
        float32 ``[h, w]`` -1..1 and float32 ``[h, w]`` grey levels.
    """

    def mean(picture: Gray) -> Gray:
        return np.asarray(cv2.boxFilter(picture, -1, (window, window), borderType=cv2.BORDER_REFLECT))

    mean_a, mean_b = mean(first), mean(second)
    var_a = np.maximum(mean(first * first) - mean_a * mean_a, 0)
    var_b = np.maximum(mean(second * second) - mean_b * mean_b, 0)
    shared = mean(first * second) - mean_a * mean_b
    floor = np.float32(4.0)
    correlation = np.clip((shared + floor) / (np.sqrt(var_a * var_b) + floor), -1, 1)
    return correlation.astype(np.float32), np.sqrt(np.maximum(var_a, var_b)).astype(np.float32)


def _smooth(picture: Gray) -> Gray:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.9), dtype=np.float32)


def _quantiles(correlation: Gray, judged: _Mask, kept: _Mask) -> dict[str, float]:
    # Two flat pictures agree, but prove nothing.
    low, quarter, median = np.quantile(correlation[judged], [0.1, 0.25, 0.5]) if judged.any() else (0.0, 0.0, 0.0)
    outside = float(np.quantile(correlation[kept], 0.1)) if kept.any() else 0.0
    return {
        "corr_low": float(low),
        "corr_quarter": float(quarter),
        "corr_median": float(median),
        "corr_kept": outside,
    }


def _coarse(overlay: Overlay) -> float:
    """First decile of the correlation of the pair drawn at a quarter of its size."""
    height, width = overlay.mask.shape
    size = (max(8, width // 4), max(8, height // 4))
    small = [cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (overlay.query, overlay.reference)]
    mask = cv2.resize(overlay.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    correlation, contrast = local_correlation(small[0], small[1], window=5)
    judged = mask & (contrast > NOISE)
    return float(np.quantile(correlation[judged], 0.1)) if judged.any() else 0.0


def _disagreement(correlation: Gray, judged: _Mask) -> tuple[_Mask, _Mask]:
    """(compact, thin): pieces that survive an opening, and lines that do not."""
    wrong = (judged & (correlation < DISAGREE)).astype(np.uint8)
    side = 2 * (max(7, min(wrong.shape) // 12) // 2) + 1
    core = cv2.morphologyEx(wrong, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    around = cv2.dilate(core, np.ones((_WINDOW, _WINDOW), np.uint8))
    compact = around > 0
    return compact, (wrong > 0) & ~compact


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
    energy = [float(np.abs(cv2.Laplacian(p, cv2.CV_32F))[kept].mean()) for p in (overlay.query, overlay.reference)]
    spread = [float(p[kept].std()) for p in (overlay.query, overlay.reference)]
    ratio = (energy[0] + 0.5) / (energy[1] + 0.5) * (spread[1] + 2.0) / (spread[0] + 2.0)
    return float(np.clip(np.log(ratio), -3.0, 3.0))
