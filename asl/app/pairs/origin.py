"""Decide which of two matching images is the original: every cue votes, the strongest is named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asl.app.library.facts import Facts
from asl.app.library.lost_detail import SHRINKS
from asl.app.pairs.framed import COMPLETE_SHARE, PARTIAL_SHARE
from asl.app.pairs.pair_verdict import PairVerdict, outline_area
from asl.data.signatures import CAMERA_RAW

# Measured on 600 pairs of photographs and copies of 37 kinds: from here on nine of ten answers are
# right for each cue alone. The votes are cautious log-odds; weaker cues (the embeddings, the file
# size) only lean, unless they agree.
CLEAR_VOTE = 1.5
# Log-odds between the two directions; smaller gaps point the right way half of the time.
LEAST_DIRECTION_GAP = 0.75
MOST_DIRECTION_VOTE = 4.0
# Of 35 pairs that match both ways, with a gap that was clear, .80 pointed the right way (one way:
# .96 of 244), so such a gap leans only.
BOTH_WAYS_VOTE = 1.2
LEAST_SIDE_RATIO = 1.2  # of the sides in pixels, from which resolution counts
# Detail beyond the pixels of the smaller image, relative to its finest: enlarged copies have
# .2 to .4, larger photographs .6 to .8.
ENLARGED_DETAIL = 0.5
LEAST_SIZE_RATIO = 1.2  # of file sizes
EDITORS = (
    "photoshop",
    "gimp",
    "lightroom",
    "snapseed",
    "canva",
    "paint",
    "pixelmator",
    "affinity",
    "instagram",
)
Vote = tuple[float, str]


@dataclass(frozen=True)
class Origin:
    """Direction of a matching pair.

    Attributes:
        vote: log-odds that the second is the original and the first its copy; negative the other
            way round.
        why: the strongest cue in words.
    """

    vote: float
    why: str

    @property
    def clear(self) -> bool:
        """True if the cues decide the direction."""
        return abs(self.vote) >= CLEAR_VOTE

    @property
    def direction(self) -> str:
        """``second->first``, ``first->second`` (both original -> copy) or ``unclear``."""
        if not self.clear:
            return "unclear"
        return "second->first" if self.vote > 0 else "first->second"

    def between(self, first: str, second: str) -> str:
        """Return the direction with other words for the two images.

        >>> Origin(4.0, "").between("query", "reference")
        'reference->query'
        """
        return self.direction.replace("second", second).replace("first", first)


def find_origin(
    verdict: PairVerdict,
    first: Facts,
    second: Facts,
    *,
    first_log_norm: float = 0.0,
    second_log_norm: float = 0.0,
) -> Origin:
    """Weigh verifier, resolution, format, EXIF and embedding norms.

    Args:
        verdict: of the pair (first, second).
        first: facts of the first file.
        second: facts of the second file.
        first_log_norm: ln |f| of the first image.
        second_log_norm: ln |f| of the second image; the larger one holds more of the original.
    """
    if verdict.identical:
        return Origin(0.0, "the same file")
    votes = origin_votes(
        verdict, first, second, first_log_norm=first_log_norm, second_log_norm=second_log_norm
    )
    total = sum(value for value, _ in votes)
    agreeing = [vote for vote in votes if vote[0] * total > 0]
    return Origin(total, max(agreeing, key=lambda vote: abs(vote[0]))[1] if agreeing else "no cue")


def origin_votes(
    verdict: PairVerdict,
    first: Facts,
    second: Facts,
    *,
    first_log_norm: float = 0.0,
    second_log_norm: float = 0.0,
) -> list[Vote]:
    """List the cues to the direction of a pair of different files.

    Args:
        verdict: as in :func:`find_origin`, like the others.
        first: facts of the first file.
        second: facts of the second file.
        first_log_norm: ln |f| of the first image.
        second_log_norm: ln |f| of the second image.

    Returns:
        (log-odds, cue) of each cue: positive where it speaks for the second as the original,
        negative for the first; the words are about that original.
    """
    votes = [
        *_verifier_votes(verdict),
        *_resolution_votes(verdict, first, second),
        *_format_votes(first, second),
        *_metadata_votes(first, second),
    ]
    if verdict.greyed:
        votes.append((4.0 * verdict.greyed, "the other one has lost its colours"))
    if verdict.overlaid:
        votes.append((2.0 * verdict.overlaid, "something was laid over the other one"))
    gap = second_log_norm - first_log_norm
    votes.append((max(-1.0, min(1.0, gap)), "its feature holds more of the original"))
    # The size of another format says nothing about the content.
    sizes = first.bytes, second.bytes
    if first.format == second.format and max(sizes) > LEAST_SIZE_RATIO * min(sizes):
        votes.append((math.copysign(0.2, second.bytes - first.bytes), "larger file"))
    return votes


def _verifier_votes(verdict: PairVerdict) -> list[Vote]:
    votes = []
    gap = _log_odds(verdict.forward) - _log_odds(verdict.backward)
    one_way = min(verdict.forward, verdict.backward) < 0.5
    most, why = (
        (MOST_DIRECTION_VOTE, "the pixels agree in this direction only")
        if one_way
        else (BOTH_WAYS_VOTE, "the pixels fit this direction better")
    )
    if abs(gap) > LEAST_DIRECTION_GAP:
        votes.append((max(-most, min(most, gap)), why))
    if verdict.framed:
        votes.append((1.0 * verdict.framed, "the other is this one in a frame"))
    # Cut from the second: the second covers all of the first and shows more.
    elif verdict.share_first > COMPLETE_SHARE and verdict.share_second < PARTIAL_SHARE:
        votes.append((1.5, "the other is cut from it"))
    elif verdict.share_second > COMPLETE_SHARE and verdict.share_first < PARTIAL_SHARE:
        votes.append((-1.5, "the other is cut from it"))
    return votes


def _resolution_votes(verdict: PairVerdict, first: Facts, second: Facts) -> list[Vote]:
    first_pixels = first.pixels * (outline_area(verdict.first_outline) or 1.0)
    second_pixels = second.pixels * (outline_area(verdict.second_outline) or 1.0)
    if min(first_pixels, second_pixels) <= 0:
        return []
    ratio = math.sqrt(second_pixels / first_pixels)
    lost = first.lost_inside(verdict.first_outline), second.lost_inside(verdict.second_outline)
    larger, smaller = lost[::-1] if ratio > 1 else lost
    shrink = max(ratio, 1 / ratio)
    if shrink < LEAST_SIDE_RATIO or not _has_more_detail(larger, smaller, shrink):
        return []
    return [(math.copysign(2.0, math.log(ratio)), "more detail in the shared part")]


def _has_more_detail(larger: Sequence[float], smaller: Sequence[float], shrink: float) -> bool:
    """Tell a larger photograph from an enlarged copy, which loses nothing at the smaller size.

    Args:
        larger: lost detail of the shared part where it has more pixels.
        smaller: the same in the other image.
        shrink: factor between the two.
    """
    if not larger or not smaller:
        return True  # written by an earlier version, which counted pixels only
    beyond = float(np.interp(shrink, SHRINKS, larger))
    return beyond > ENLARGED_DETAIL * smaller[SHRINKS.index(2.0)]


def _format_votes(first: Facts, second: Facts) -> list[Vote]:
    votes = []
    jpegs = {image.format == "JPEG" for image in (first, second) if image.format}
    if (first.format == CAMERA_RAW) != (second.format == CAMERA_RAW):
        strength = 4.0 if second.format == CAMERA_RAW else -4.0
        votes.append((strength, "the RAW file of a camera"))
    elif len(jpegs) == 2 and first.same_pixels(second):  # bare pixels have no format
        # A JPEG made from the other file would have lost something.
        strength = 4.0 if second.format == "JPEG" else -4.0
        votes.append((strength, "a JPEG, whose very pixels the other one holds"))
    if first.few_colours != second.few_colours:
        strength = 3.0 if first.few_colours else -3.0
        votes.append((strength, "the other is left with 256 colours"))
    return votes


def _metadata_votes(first: Facts, second: Facts) -> list[Vote]:
    votes = []
    if bool(first.camera) != bool(second.camera):
        votes.append((2.0 if second.camera else -2.0, "camera data in the file"))
    edited = [any(name in facts.software.lower() for name in EDITORS) for facts in (first, second)]
    if edited[0] != edited[1]:
        # A copy may have lost all metadata of its edited original, but not where it still names
        # the camera.
        strength = 2.0 if (second if edited[0] else first).camera else 1.0
        votes.append((strength if edited[0] else -strength, "the other was written by an editor"))
    if first.taken and second.taken and first.taken != second.taken:
        votes.append((0.5 if second.taken < first.taken else -0.5, "taken earlier"))
    return votes


def _log_odds(probability: float) -> float:
    clipped = min(max(probability, 1e-4), 1 - 1e-4)
    return math.log(clipped / (1 - clipped))
