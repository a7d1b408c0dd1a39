"""Compare an aligned pair: structure, tone, detail, and compact pieces that were added."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from asl.matching.align.lazy_property import LazyProperty
from asl.matching.evidence.overlay import Overlay
from asl.matching.evidence.quantile import quantile
from asl.matching.values import Gray
from asl.types import Bools

_WINDOW = 9  # pixels, side of the window of the local correlation
NOISE = 5.0  # grey levels: contrast below this is encoder noise, not structure
_PLAIN = 1.5  # grey levels: contrast below this is one plain colour
_FLAT_VARIANCE = 4.0  # squared grey levels: variance of this size counts half
DISAGREE = 0.55  # local correlation below this is disagreement
_AGREE_CORE = 0.75  # local correlation above which a pixel belongs to the agreeing core
_AGREE_FINE = 0.8  # local correlation above which finest detail is compared
_FINE_SIGMA = 1.2  # pixels, standard deviation of the blur that removes the finest detail
_FINE_CONTRAST = 1.0  # grey levels: contrast of the finest detail below this is not compared
_RIM = 0.1  # share of the compared area's sides that is excluded where frames must not count
_MIN_PIXELS = 64  # pixels below which a measurement is not made
_TONE_LEVELS = 32  # brightness levels of a tone curve
_Reduced = tuple[Gray, Bools, Bools]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Agreement of two aligned images; each measurement is made once, when it is first read.

    Attributes:
        overlay: the aligned pair.
    """

    overlay: Overlay

    @property
    def correlation(self) -> Gray:
        """Local correlation on the overlay's grid, float32 ``[h, w]`` -1..1."""
        return self._local[0]

    @LazyProperty
    def structured(self) -> Bools:
        """Pixels where at least one of the two has structure, bool ``[h, w]``."""
        return self.overlay.mask & (self._local[1] > NOISE)

    @property
    def added(self) -> Bools:
        """Compact pieces that disagree (overlay, text, sticker), bool ``[h, w]``."""
        return self._disagreement[0]

    @LazyProperty
    def quantiles(self) -> dict[str, float]:
        """Quantiles of the local correlation: the part of ``values`` that ranks alignments."""
        return _quantiles(self.correlation, self.structured, self._remaining)

    @LazyProperty
    def coarse(self) -> dict[str, float]:
        """Agreement at reduced resolution, a part of ``values``."""
        quarter, eighth = _reduced(self.overlay, 4), _reduced(self.overlay, 8)
        return {
            "corr_coarse": _coarse(quarter, 0.1),
            "corr_tiny": _coarse(eighth, 0.25),
            **_inner(quarter),
        }

    @LazyProperty
    def values(self) -> dict[str, float]:
        """Fields of :class:`asl.matching.values.Evidence`."""
        overlay, (query, reference) = self.overlay, self._smooth
        correlation, contrast = self._local
        added, diffuse = self._disagreement
        inside = int(overlay.mask.sum())
        return {
            **self.quantiles,
            **self.coarse,
            "flat": float((overlay.mask & (contrast < _PLAIN)).sum()) / inside,
            "corr_fine": _fine(overlay, self._remaining & (correlation > _AGREE_FINE)),
            "gradient": _gradient_agreement(query, reference, self._remaining),
            "tone": _tone(query, reference, overlay.mask & ~added),
            **_core(correlation, self.structured, overlay.mask),
            "diffuse": float(diffuse.sum()) / inside,
            "added": float(added.sum()) / inside,
            "added_box": _boxiness(correlation, self.structured),
            "detail": _detail(overlay, self._remaining),
        }

    @LazyProperty
    def _smooth(self) -> tuple[Gray, Gray]:
        return _smooth(self.overlay.query), _smooth(self.overlay.reference)

    @LazyProperty
    def _local(self) -> tuple[Gray, Gray]:
        return local_correlation(*self._smooth)

    @LazyProperty
    def _disagreement(self) -> tuple[Bools, Bools]:
        return _disagreement(self.correlation, self.structured)

    @LazyProperty
    def _remaining(self) -> Bools:
        return self.structured & ~self.added


def local_correlation(
    first: Gray, second: Gray, window: int = _WINDOW, *, floor: float = _FLAT_VARIANCE
) -> tuple[Gray, Gray]:
    """Correlate two pictures in a sliding window, and measure the larger local contrast.

    Args:
        first: float32 ``[h, w]``.
        second: float32 ``[h, w]``.
        window: side of the window in pixels.
        floor: variance, in squared grey levels, below which a window counts as flat.

    Returns:
        Correlation, float32 ``[h, w]`` -1..1: towards 1 where both are flat, towards 0 where only
        one is; and the standard deviation of the more structured picture, float32 ``[h, w]`` grey
        levels.

    >>> import numpy as np
    >>> flat = np.full((32, 32), 200, np.float32)
    >>> stripes = np.tile(np.float32([0, 0, 255, 255]), (32, 8))
    >>> correlation, _ = local_correlation(flat, stripes)
    >>> bool(correlation.max() < 0.1)
    True
    """

    def mean(picture: Gray) -> Gray:
        return np.asarray(
            cv2.boxFilter(picture, -1, (window, window), borderType=cv2.BORDER_REFLECT)
        )

    mean_a, mean_b = mean(first), mean(second)
    var_a = np.maximum(mean(first * first) - mean_a * mean_a, 0)
    var_b = np.maximum(mean(second * second) - mean_b * mean_b, 0)
    shared = mean(first * second) - mean_a * mean_b
    # The floor stands for structure that both share. Within the root it is added to each variance,
    # so that a flat area agrees with another flat area, but not with a structured one.
    spread = np.sqrt((var_a + floor) * (var_b + floor))
    correlation = np.clip((shared + floor) / spread, -1, 1)
    return correlation.astype(np.float32), np.sqrt(np.maximum(var_a, var_b)).astype(np.float32)


def _smooth(picture: Gray) -> Gray:
    """Remove encoder noise by a slight blur."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.9), dtype=np.float32)


def _quantiles(correlation: Gray, structured: Bools, remaining: Bools) -> dict[str, float]:
    """Quantiles of the correlation over pixels with structure, and outside added pieces.

    Two flat pictures agree, but prove nothing: pixels without structure are excluded.
    """
    values = correlation[structured]
    low, quarter, median = (
        quantile(values, share) if len(values) else 0.0 for share in (0.1, 0.25, 0.5)
    )
    return {
        "corr_low": low,
        "corr_quarter": quarter,
        "corr_median": median,
        "corr_kept": quantile(correlation[remaining], 0.1) if remaining.any() else 0.0,
    }


def _coarse(reduced: _Reduced, share: float) -> float:
    """Quantile of the correlation of a reduced pair."""
    correlation, structured, _ = reduced
    return quantile(correlation[structured], share) if structured.any() else 0.0


def _inner(reduced: _Reduced) -> dict[str, float]:
    """Share of structure away from the rim of the compared area, and its agreement.

    Two photos in frames of one kind (slides, letterboxes, captions) agree along the rim.
    """
    correlation, structured, mask = reduced
    rows, columns = (max(1, round(_RIM * side)) for side in mask.shape)
    middle = np.zeros_like(mask)
    middle[rows:-rows, columns:-columns] = mask[rows:-rows, columns:-columns]
    within = structured & middle
    return {
        "corr_inner": quantile(correlation[within], 0.5) if within.any() else 0.0,
        "structure": float(within.sum() / max(1, middle.sum())),
    }


def _reduced(overlay: Overlay, factor: int) -> _Reduced:
    """Correlation of the pair reduced by ``factor``, mask of structure, mask of common pixels."""
    height, width = overlay.mask.shape
    size = (max(8, width // factor), max(8, height // factor))
    small = [
        cv2.resize(p, size, interpolation=cv2.INTER_AREA)
        for p in (overlay.query, overlay.reference)
    ]
    mask = cv2.resize(overlay.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    correlation, contrast = local_correlation(small[0], small[1], window=5)
    return correlation, mask & (contrast > NOISE), mask


def _fine(overlay: Overlay, agreeing: Bools) -> float:
    """Median local correlation of the finest detail where the structure agrees; 0 if too little."""
    fine = [
        p - cv2.GaussianBlur(p, (0, 0), _FINE_SIGMA) for p in (overlay.query, overlay.reference)
    ]
    correlation, contrast = local_correlation(fine[0], fine[1], floor=0.25)
    compared = agreeing & (contrast > _FINE_CONTRAST)
    return quantile(correlation[compared], 0.5) if compared.sum() >= _MIN_PIXELS else 0.0


def _disagreement(correlation: Gray, structured: Bools) -> tuple[Bools, Bools]:
    """Split the disagreement: compact pieces that survive an opening, thin lines that do not."""
    wrong = (structured & (correlation < DISAGREE)).astype(np.uint8)
    side = 2 * (max(7, min(wrong.shape) // 12) // 2) + 1
    core = cv2.morphologyEx(wrong, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    around = cv2.dilate(core, np.ones((_WINDOW, _WINDOW), np.uint8))
    compact = around > 0
    return compact, (wrong > 0) & ~compact


def _core(correlation: Gray, structured: Bools, mask: Bools) -> dict[str, float]:
    """Size of the largest compact agreeing piece, and the agreement inside its outline.

    Of a photo that was cropped and then pasted, a part of the compared area agrees and the scene
    around it does not; inside the outline of the agreeing part nothing disagrees. An object that
    moves between two frames is inside the outline.
    """
    nothing = {"core": 0.0, "core_low": 0.0, "core_holes": 1.0}
    agreeing = ((correlation > _AGREE_CORE) & mask).astype(np.uint8)
    side = 2 * (max(5, min(mask.shape) // 24) // 2) + 1
    compact = cv2.morphologyEx(agreeing, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    outlines, _ = cv2.findContours(compact, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return nothing
    hull = np.zeros_like(agreeing)
    cv2.fillConvexPoly(hull, cv2.convexHull(max(outlines, key=cv2.contourArea)), 1)
    within = structured & (hull > 0)
    if within.sum() < _MIN_PIXELS:
        return nothing
    values = correlation[within]
    return {
        "core": float((hull > 0).sum() / mask.sum()),
        "core_low": quantile(values, 0.1),
        "core_holes": float((values < DISAGREE).mean()),
    }


def _boxiness(correlation: Gray, structured: Bools) -> float:
    """Share of its smallest rectangle that the largest disagreeing piece fills; 0 without one.

    A pasted picture is often a rectangle, a moving object is not.
    """
    wrong = (structured & (correlation < DISAGREE)).astype(np.uint8)
    side = 2 * (max(7, min(wrong.shape) // 16) // 2) + 1
    joined = cv2.morphologyEx(wrong, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    joined = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    outlines, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return 0.0
    largest = max(outlines, key=cv2.contourArea)
    width, height = cv2.minAreaRect(largest)[1]
    return float(min(1.0, cv2.contourArea(largest) / max(width * height, 1.0)))


def _gradient_agreement(query: Gray, reference: Gray, mask: Bools) -> float:
    """Mean cosine between the gradients of both, weighted by the weaker gradient's magnitude."""
    qx, qy = cv2.Sobel(query, cv2.CV_32F, 1, 0), cv2.Sobel(query, cv2.CV_32F, 0, 1)
    rx, ry = cv2.Sobel(reference, cv2.CV_32F, 1, 0), cv2.Sobel(reference, cv2.CV_32F, 0, 1)
    magnitude_q, magnitude_r = np.sqrt(qx * qx + qy * qy), np.sqrt(rx * rx + ry * ry)
    weight = np.minimum(magnitude_q, magnitude_r) * mask
    total = float(weight.sum())
    cosine = (qx * rx + qy * ry) / (magnitude_q * magnitude_r + 1e-3)
    return float((weight * cosine).sum() / total) if total > 1e-3 else 0.0


def _tone(query: Gray, reference: Gray, mask: Bools) -> float:
    """Share of the query's variance that a tone curve of the reference's brightness explains."""
    if mask.sum() < _MIN_PIXELS:
        return 0.0
    values = query[mask]
    total = float(values.var())
    if total < NOISE**2 / 4:
        return 0.0
    level = np.clip(reference[mask] / (256 // _TONE_LEVELS), 0, _TONE_LEVELS - 1).astype(np.intp)
    counts = np.bincount(level, minlength=_TONE_LEVELS)
    sums = np.bincount(level, weights=values, minlength=_TONE_LEVELS)
    means = sums / np.maximum(counts, 1)
    return float(np.clip(1.0 - ((values - means[level]) ** 2).mean() / total, 0.0, 1.0))


def _detail(overlay: Overlay, mask: Bools) -> float:
    """Log ratio of detail, query over reference: below 0 where the query is the blurred one."""
    if mask.sum() < _MIN_PIXELS:
        return 0.0
    energy = [
        float(np.abs(cv2.Laplacian(p, cv2.CV_32F))[mask].mean())
        for p in (overlay.query, overlay.reference)
    ]
    spread = [float(p[mask].std()) for p in (overlay.query, overlay.reference)]
    ratio = (energy[0] + 0.5) / (energy[1] + 0.5) * (spread[1] + 2.0) / (spread[0] + 2.0)
    return float(np.clip(np.log(ratio), -3.0, 3.0))
