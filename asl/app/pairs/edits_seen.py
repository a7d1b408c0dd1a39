"""Name the probable edits of a copy, from the aligned pixels and the facts of both files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations

import cv2
import numpy as np

from asl.app.library.facts import Facts
from asl.app.pairs.pair_verdict import Outline, PairVerdict, outline_area
from asl.matching import Region, Verdict
from asl.matching.align.lazy_property import LazyProperty
from asl.matching.align.prepare import Prepared
from asl.matching.evidence.quantile import quantile
from asl.matching.values import Evidence
from asl.types import F32, Bools

RE_ENCODED = "re-encoded"
RESIZED = "resized"
PASTED = "pasted into another picture or screenshot"
SCREENSHOT = "shown in a screenshot"
SCREEN_RATIO = 1.7  # height over width of a phone's screen, at least
SCREEN_WIDTH = 0.9  # share of a screen's width that the picture spans, at least
FULL_COVER = 0.94  # share of an image from which it counts as covered completely
FLAT_BORDER = 0.8  # share of plain pixels outside the shared area that makes a frame
LEAST_ROTATION = 3.0  # degrees
LEAST_ADDED = 0.01  # share of the shared area that is covered by something else
BENT_GAIN = 0.3  # of the first decile of the local correlation by a smooth bend
LEAST_DIFFUSE = 0.03  # share of the shared area that differs in thin lines
BLUR_DETAIL = -0.5  # log ratio of detail, copy to original
COMPRESSED_FINE = 0.85  # correlation of the finest detail that strong compression lowers
COMPRESSED_QUARTER = 0.93  # first quartile of the local correlation that it lowers
SPARSE_DIFFERENCE = 0.3  # median over mean difference: below it a few pixels hold the difference
GREY_COLOUR = 4.0  # mean channel spread (0..255) below which an image is grey
VIVID_COLOUR = 12.0  # mean channel spread (0..255) above which it has colours
LEAST_BRIGHTNESS_CHANGE = 20.0  # grey levels
LEAST_CONTRAST_CHANGE = 0.3  # log ratio of standard deviations
LEAST_SATURATION_CHANGE = 0.4  # log ratio of mean channel spreads
INVERTED_CORRELATION = -0.5  # of the brightness of aligned pixels
LEAST_CHANNEL_CHANGE = 5.0  # mean difference of aligned pixels, in levels, that a swap explains
LEAST_NOISE = 2.5  # grey levels that are added in plain areas of the original
NOISE_RATIO = 1.15  # of the finest detail in the copy to that in the original
LEAST_PIXELS = 64  # aligned pixels below which pixels are not compared
LEAST_SIDE_CHANGE = 0.1  # relative change of the sides that counts as another size


def likely_edits(
    verdict: Verdict, copy: Prepared, original: Prepared
) -> tuple[tuple[str, ...], int]:
    """Describe the edits that probably made the copy from the original.

    Args:
        verdict: of copy (query) -> original (reference).
        copy: prepared image of the copy.
        original: prepared image of the original.

    Returns:
        The edits in words (``("re-encoded",)`` where none is visible, empty where the two do not
        match), and :attr:`asl.app.pairs.pair_verdict.PairVerdict.greyed` of (copy, original).
    """
    if verdict.probability < 0.5 or not verdict.regions:
        return (), 0
    evidence, region = verdict.evidence, verdict.regions[0]
    edits = _layout_edits(evidence, region)
    aligned = align_pair(copy, original, region)
    tones, greyed = _tone_edits(aligned) if aligned else ([], 0)
    bent = evidence.bend > 0 and evidence.bent_low > evidence.corr_low + BENT_GAIN
    if bent:
        edits.append("bent locally")
    elif evidence.diffuse > LEAST_DIFFUSE and aligned and _is_sparse(aligned):
        if evidence.added <= LEAST_ADDED:
            edits.append("text or lines over it")
    elif aligned and _is_noisy(aligned):
        edits.append("noise added")
    else:
        edits += _detail_edits(evidence, resampled=bool(edits))
    return tuple([*edits, *tones] or [RE_ENCODED]), greyed


def directed_edits(
    verdict: PairVerdict, *, copy_is_first: bool, first: Facts, second: Facts
) -> tuple[str, ...]:
    """Describe the edits in a decided direction, with the changes of size and format.

    Args:
        verdict: of the pair (first, second).
        copy_is_first: the first image is the copy, the second the original.
        first: facts of the first file.
        second: facts of the second file.
    """
    if verdict.identical:
        return verdict.edits
    copy, original = (first, second) if copy_is_first else (second, first)
    outlines = (verdict.first_outline, verdict.second_outline)
    copy_outline, original_outline = outlines if copy_is_first else outlines[::-1]
    seen = verdict.edits_forward if copy_is_first else verdict.edits_backward
    edits = [edit for edit in seen or verdict.edits if edit != RE_ENCODED]
    if PASTED in edits and _looks_like_a_screen(copy, copy_outline):
        edits[edits.index(PASTED)] = SCREENSHOT
    edits += _size_edits(copy, copy_outline, original, original_outline)
    if copy.format and original.format and copy.format != original.format:
        edits.append(f"saved as {copy.format}")
    return tuple(edits or [RE_ENCODED])


def undirected_edits(verdict: PairVerdict, *, first: Facts, second: Facts) -> tuple[str, ...]:
    """Describe the edits where the direction is unclear: another size is named without its sense.

    Args:
        verdict: of the pair (first, second).
        first: facts of the first file.
        second: facts of the second file.
    """
    outlines = (verdict.first_outline, verdict.second_outline)
    if verdict.identical or not verdict.edits or not all(outlines):
        return verdict.edits
    if not _size_edits(first, outlines[0], second, outlines[1]):
        return verdict.edits
    return (*(edit for edit in verdict.edits if edit != RE_ENCODED), RESIZED)


def _looks_like_a_screen(copy: Facts, outline: Outline) -> bool:
    """Check that a picture is as wide as the screen of a phone that shows it."""
    across = [x for x, _ in outline]
    spans = bool(across) and max(across) - min(across) >= SCREEN_WIDTH
    return spans and copy.height >= SCREEN_RATIO * copy.width


def _size_edits(
    copy: Facts, copy_outline: Outline, original: Facts, original_outline: Outline
) -> list[str]:
    """Compare the pixels that both files spend on the shared area."""
    copy_pixels = copy.pixels * (outline_area(copy_outline) or 1.0)
    original_pixels = original.pixels * (outline_area(original_outline) or 1.0)
    if min(copy_pixels, original_pixels) <= 0:
        return []
    ratio = math.sqrt(copy_pixels / original_pixels)
    if ratio < 1 - LEAST_SIDE_CHANGE:
        return [f"made smaller (to {100 * ratio:.0f} %)"]
    if ratio > 1 + LEAST_SIDE_CHANGE:
        return [f"enlarged (to {100 * ratio:.0f} %)"]
    return []


def _layout_edits(evidence: Evidence, region: Region) -> list[str]:
    edits: list[str] = []
    if evidence.cover_reference < FULL_COVER:
        edits.append(f"cropped to {100 * evidence.cover_reference:.0f} %")
    if evidence.cover_query < FULL_COVER:
        framed = evidence.outside_flat > FLAT_BORDER
        edits.append("framed or padded" if framed else PASTED)
    if region.mirrored:
        edits.append("mirrored")
    if abs(region.rotation) >= LEAST_ROTATION:
        edits.append(f"turned by {abs(region.rotation):.0f}°")
    if evidence.added > LEAST_ADDED:
        edits.append(f"{100 * evidence.added:.0f} % covered (text, sticker, logo)")
    return edits


def _detail_edits(evidence: Evidence, *, resampled: bool) -> list[str]:
    """Name lost detail; resampling (a crop, a rotation) changes the finest detail by itself."""
    if evidence.detail < BLUR_DETAIL:
        return ["blurred"]
    coarse = evidence.corr_fine < COMPRESSED_FINE and evidence.corr_quarter < COMPRESSED_QUARTER
    if coarse and not resampled:
        return ["strongly compressed"]
    return []


@dataclass(frozen=True, eq=False)
class AlignedPair:
    """The copy and the original warped onto its grid.

    Attributes:
        copy: float32 ``[h, w, 3]`` RGB.
        original: float32 ``[h, w, 3]`` RGB.
        mask: bool ``[h, w]``, pixels that both have.
    """

    copy: F32
    original: F32
    mask: Bools

    @LazyProperty
    def channels(self) -> tuple[F32, F32]:
        """The N common pixels of the copy and of the original, float32 ``[3, N]``."""
        copy, original = (
            np.stack([channel[self.mask] for channel in cv2.split(image)])
            for image in (self.copy, self.original)
        )
        return copy, original


def align_pair(copy: Prepared, original: Prepared, region: Region) -> AlignedPair | None:
    """Warp the original onto the copy by the outlines of a region; None where it is too small."""
    height, width = copy.shape
    on_copy = region.query_outline * np.array([width - 1.0, height - 1.0])
    original_height, original_width = original.shape
    on_original = region.reference_outline * np.array([original_width - 1.0, original_height - 1.0])
    if len(on_copy) < 4:
        return None
    matrix, _ = cv2.findHomography(on_original, on_copy)
    if matrix is None:
        return None
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, np.rint(on_copy).astype(np.int32), 1)
    mask = cv2.erode(mask, np.ones((5, 5), np.uint8), borderValue=0)
    if mask.sum() < LEAST_PIXELS:
        return None
    warped = cv2.warpPerspective(
        original.image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE
    )
    return AlignedPair(copy.image.astype(np.float32), warped.astype(np.float32), mask > 0)


def _tone_edits(aligned: AlignedPair) -> tuple[list[str], int]:
    """Compare colours and brightness of the aligned pixels; also ``greyed``."""
    copy, original = aligned.channels
    copy_colour, copy_light = _colour_and_light(copy)
    original_colour, original_light = _colour_and_light(original)
    colours = copy_colour, original_colour
    if _correlation(copy_light, original_light) < INVERTED_CORRELATION:
        return ["inverted"], 0
    if min(colours) < GREY_COLOUR and max(colours) > VIVID_COLOUR:
        return ["made grey"], 1 if copy_colour < original_colour else -1
    if _channels_are_swapped(copy, original):
        return ["colour channels swapped"], 0
    brightness = float(copy_light.mean() - original_light.mean())
    contrast = float(np.log((copy_light.std() + 1) / (original_light.std() + 1)))
    saturation = float(np.log((copy_colour + 4) / (original_colour + 4)))
    changed = (
        abs(brightness) > LEAST_BRIGHTNESS_CHANGE
        or abs(contrast) > LEAST_CONTRAST_CHANGE
        or abs(saturation) > LEAST_SATURATION_CHANGE
    )
    return ["tones or colours changed"] if changed else [], 0


def _channels_are_swapped(copy: F32, original: F32) -> bool:
    """Check that another order of the channels halves the difference of ``[3, N]`` pixels."""
    apart = [float(cv2.absdiff(a, b).mean()) for a, b in zip(copy, original, strict=True)]
    unchanged = sum(apart) / 3
    if unchanged <= LEAST_CHANNEL_CHANGE:
        return False
    difference = [[float(cv2.absdiff(a, b).mean()) for b in original] for a in copy]
    orders = list(permutations(range(3)))[1:]
    least = min(sum(difference[a][b] for a, b in enumerate(order)) / 3 for order in orders)
    return 2 * least < unchanged


def _is_sparse(aligned: AlignedPair) -> bool:
    """Check that few pixels hold the difference: lines and text, not noise or compression."""
    apart = cv2.absdiff(*aligned.channels)
    difference = (apart[0] + apart[1] + apart[2]) / np.float32(3.0)
    return quantile(difference, 0.5) < SPARSE_DIFFERENCE * float(difference.mean())


def _is_noisy(aligned: AlignedPair) -> bool:
    """Check that the copy has finest detail in plain areas that the original lacks."""
    copy, original = (
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (aligned.copy, aligned.original)
    )
    smooth = cv2.GaussianBlur(original, (0, 0), 2.0)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    plain = aligned.mask & (slope <= quantile(slope[aligned.mask], 0.3))
    before, after, added = (
        _fine_deviation(image, plain) for image in (original, copy, copy - original)
    )
    return added > LEAST_NOISE and after > NOISE_RATIO * before


def _fine_deviation(image: F32, mask: Bools) -> float:
    """Robust standard deviation of the finest detail, in grey levels."""
    fine = image - cv2.GaussianBlur(image, (0, 0), 1.2)
    return 1.48 * quantile(np.abs(fine[mask]), 0.5)


def _correlation(first: F32, second: F32) -> float:
    first, second = first - first.mean(), second - second.mean()
    spread = float(np.sqrt((first**2).mean() * (second**2).mean()))
    return float((first * second).mean()) / spread if spread > 1 else 0.0


def _colour_and_light(pixels: F32) -> tuple[float, F32]:
    """Return the mean channel spread (max minus min, 0..255) and the brightness of ``[3, N]``."""
    high, low = pixels.max(axis=0), pixels.min(axis=0)
    return float((high - low).mean()), np.asarray((high + low) / 2, dtype=np.float32)
