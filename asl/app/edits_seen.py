"""What was probably done to an original, read off its alignment with the copy."""

from __future__ import annotations

import numpy as np

from asl.data.images import Pixels
from asl.matching import Verdict
from asl.matching.align.prepare import Prepared


def likely_edits(
    verdict: Verdict, copy: Prepared, original: Prepared
) -> tuple[tuple[str, ...], int]:
    """What was probably done to the original, in words (none where the two are no match), and ``greyed``."""
    if verdict.probability < 0.5 or not verdict.regions:
        return (), 0
    evidence, region = verdict.evidence, verdict.regions[0]
    words = (
        [f"cropped to {100 * evidence.cover_reference:.0f} %"]
        if evidence.cover_reference < 0.94
        else []
    )
    if evidence.cover_query < 0.94:
        flat = evidence.outside_flat > 0.8
        words.append("framed or padded" if flat else "pasted into another picture or screenshot")
    words += ["mirrored"] if region.mirrored else []
    words += [f"turned by {abs(region.rotation):.0f}°"] if abs(region.rotation) >= 3 else []
    words += (
        [f"{100 * evidence.added:.0f} % covered (text, sticker, logo)"]
        if evidence.added > 0.01
        else []
    )
    words += ["blurred or enlarged"] if evidence.detail < -0.7 else []
    toned, greyed = _colours(
        _part(copy, region.query_outline), _part(original, region.reference_outline)
    )
    return tuple([*words, *toned] or ["re-encoded or resized"]), greyed


def _part(image: Prepared, outline: np.ndarray) -> Pixels:
    """The box around what both show."""
    height, width = image.shape
    low = np.floor(outline.min(axis=0) * (width - 1, height - 1)).astype(int)
    high = np.ceil(outline.max(axis=0) * (width - 1, height - 1)).astype(int) + 1
    return image.image[low[1] : high[1], low[0] : high[0]]


def _colours(copy: Pixels, original: Pixels) -> tuple[list[str], int]:
    (ours, our_light), (theirs, their_light) = (
        _colour_and_light(part) for part in (copy, original)
    )
    if min(ours, theirs) < 4 and max(ours, theirs) > 12:
        return ["made grey"], 1 if ours < theirs else -1
    change = float(our_light.mean() - their_light.mean())
    spread = float(np.log((our_light.std() + 1) / (their_light.std() + 1)))
    paler = float(np.log((ours + 4) / (theirs + 4)))
    changed = abs(change) > 20 or abs(spread) > 0.3 or abs(paler) > 0.4
    return ["tones or colours changed"] if changed else [], 0


def _colour_and_light(part: Pixels) -> tuple[float, np.ndarray]:
    """How coloured a picture is (mean of the largest minus the smallest channel, 0..255), and its brightness."""
    high, low = part.max(axis=2).astype(np.float32), part.min(axis=2).astype(np.float32)
    return float((high - low).mean()), (high + low) / 2
