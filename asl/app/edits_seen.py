"""Name the probable edits of a copy from its alignment with the original."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from asl.data.images import Pixels
from asl.matching import Verdict
from asl.matching.align.prepare import Prepared
from asl.types import F32

FULL_COVER = 0.94  # share of an image from which it counts as covered completely
FLAT_BORDER = 0.8  # share of plain pixels outside the shared area that makes a frame
LEAST_ROTATION = 3.0  # degrees
LEAST_ADDED = 0.01  # share of the shared area that is covered by something else
BLUR_DETAIL = -0.7  # log ratio of detail, copy to original
GREY_COLOUR = 4.0  # mean channel spread (0..255) below which an image is grey
VIVID_COLOUR = 12.0  # mean channel spread (0..255) above which it has colours
LEAST_BRIGHTNESS_CHANGE = 20.0  # grey levels
LEAST_CONTRAST_CHANGE = 0.3  # log ratio of standard deviations
LEAST_SATURATION_CHANGE = 0.4  # log ratio of mean channel spreads


def likely_edits(
    verdict: Verdict, copy: Prepared, original: Prepared
) -> tuple[tuple[str, ...], int]:
    """Describe the edits that probably made the copy from the original.

    Args:
        verdict: of copy (query) -> original (reference).
        copy: prepared image of the copy.
        original: prepared image of the original.

    Returns:
        The edits in words, empty where the two do not match, and
        :attr:`asl.app.pair_verdict.PairVerdict.greyed` of (copy, original).
    """
    if verdict.probability < 0.5 or not verdict.regions:
        return (), 0
    evidence, region = verdict.evidence, verdict.regions[0]
    edits: list[str] = []
    if evidence.cover_reference < FULL_COVER:
        edits.append(f"cropped to {100 * evidence.cover_reference:.0f} %")
    if evidence.cover_query < FULL_COVER:
        framed = evidence.outside_flat > FLAT_BORDER
        edits.append("framed or padded" if framed else "pasted into another picture or screenshot")
    if region.mirrored:
        edits.append("mirrored")
    if abs(region.rotation) >= LEAST_ROTATION:
        edits.append(f"turned by {abs(region.rotation):.0f}°")
    if evidence.added > LEAST_ADDED:
        edits.append(f"{100 * evidence.added:.0f} % covered (text, sticker, logo)")
    if evidence.detail < BLUR_DETAIL:
        edits.append("blurred or enlarged")
    tones, greyed = _tone_edits(
        _cut(copy, region.query_outline), _cut(original, region.reference_outline)
    )
    return tuple([*edits, *tones] or ["re-encoded or resized"]), greyed


def _cut(image: Prepared, outline: F32) -> Pixels:
    """Cut out the bounding box of an outline given as shares of the sides."""
    height, width = image.shape
    low = np.floor(outline.min(axis=0) * (width - 1, height - 1)).astype(int)
    high = np.ceil(outline.max(axis=0) * (width - 1, height - 1)).astype(int) + 1
    return image.image[low[1] : high[1], low[0] : high[0]]


def _tone_edits(copy: Pixels, original: Pixels) -> tuple[list[str], int]:
    copy_colour, copy_light = _colour_and_light(copy)
    original_colour, original_light = _colour_and_light(original)
    colours = copy_colour, original_colour
    if min(colours) < GREY_COLOUR and max(colours) > VIVID_COLOUR:
        return ["made grey"], 1 if copy_colour < original_colour else -1
    brightness = float(copy_light.mean() - original_light.mean())
    contrast = float(np.log((copy_light.std() + 1) / (original_light.std() + 1)))
    saturation = float(np.log((copy_colour + 4) / (original_colour + 4)))
    changed = (
        abs(brightness) > LEAST_BRIGHTNESS_CHANGE
        or abs(contrast) > LEAST_CONTRAST_CHANGE
        or abs(saturation) > LEAST_SATURATION_CHANGE
    )
    return ["tones or colours changed"] if changed else [], 0


def _colour_and_light(pixels: Pixels) -> tuple[float, npt.NDArray[np.float32]]:
    """Return the mean channel spread (max minus min, 0..255) and the brightness of each pixel."""
    high = pixels.max(axis=2).astype(np.float32)
    low = pixels.min(axis=2).astype(np.float32)
    return float((high - low).mean()), (high + low) / 2
