"""Which of two matching images is the original: every cue votes, and the strongest one is named."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from asl.app.library.facts import SHRINKS, Facts
from asl.app.pair_verifier import PairVerdict

# Measured on 600 pairs of photographs and copies of 37 kinds: from here on nine of ten answers are
# right for each cue alone. The votes are cautious log-odds; weaker cues (the features, a file's
# size) only lean, unless they agree.
_UNCLEAR = 1.5
_NOISE = 0.75  # log-odds between the two directions; smaller gaps are right as often as a coin
_LARGER = 1.2  # how much larger the sides of one must be for its pixels to count
# detail beyond the smaller one's pixels, relative to its finest: enlarged .2-.4, a larger photo
# .6-.8
_ENLARGED = 0.5
_EDITORS = (
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


@dataclass(frozen=True)
class Origin:
    """Which one is the original.

    Attributes:
        vote: log-odds that the second is the original and the first its copy; negative: the other
            way round.
        why: the strongest cue, in words.
    """

    vote: float
    why: str

    @property
    def clear(self) -> bool:
        """Whether the cues say anything."""
        return abs(self.vote) >= _UNCLEAR

    @property
    def direction(self) -> str:
        """``second->first`` (made from the second), ``first->second`` or ``unclear``; the arrow points at the copy."""
        if not self.clear:
            return "unclear"
        return "second->first" if self.vote > 0 else "first->second"


def find_origin(
    judgement: PairVerdict,
    first: Facts,
    second: Facts,
    *,
    first_log_norm: float = 0.0,
    second_log_norm: float = 0.0,
) -> Origin:
    """Weigh direction of the pixels, resolution, format, EXIF and feature norms.

    Args:
        judgement: of the pair.
        first: facts of the first file.
        second: facts of the second file.
        first_log_norm: ln |f| of the first.
        second_log_norm: ln |f| of the second; the larger one holds more of the original.
    """
    if judgement.identical:
        return Origin(0.0, "the same file")
    votes = [*_geometry(judgement), *_resolution(judgement, first, second)]
    votes += [*_formats(first, second), *_metadata(first, second)]
    gap = second_log_norm - first_log_norm
    votes += (
        [(2.5 * judgement.greyed, "the other one has lost its colours")] if judgement.greyed else []
    )
    votes.append((max(-1.0, min(1.0, gap)), "its feature holds more of the original"))
    # What another format takes says nothing of what it holds.
    if first.format == second.format and max(first.bytes, second.bytes) > 1.2 * min(
        first.bytes, second.bytes
    ):
        votes.append((math.copysign(0.2, second.bytes - first.bytes), "larger file"))
    total = sum(value for value, _ in votes)
    agreeing = [vote for vote in votes if vote[0] * total > 0]
    return Origin(total, max(agreeing, key=lambda vote: abs(vote[0]))[1] if agreeing else "no cue")


def _geometry(judgement: PairVerdict) -> list[tuple[float, str]]:
    votes = []
    gap = _log_odds(judgement.forward) - _log_odds(judgement.backward)
    only = min(judgement.forward, judgement.backward) < 0.5
    words = (
        "the pixels agree in this direction only"
        if only
        else "the pixels fit this direction better"
    )
    if abs(gap) > _NOISE:
        votes.append((max(-4.0, min(4.0, gap)), words))
    # Cut from the second: all of the first lies in the second, which shows more.
    if judgement.share_first > 0.97 and judgement.share_second < 0.92:
        votes.append((1.5, "the other is cut from it"))
    if judgement.share_second > 0.97 and judgement.share_first < 0.92:
        votes.append((-1.5, "the other is cut from it"))
    return votes


def _resolution(judgement: PairVerdict, first: Facts, second: Facts) -> list[tuple[float, str]]:
    ours = first.pixels * (_area(judgement.first_outline) or 1.0)
    theirs = second.pixels * (_area(judgement.second_outline) or 1.0)
    if min(ours, theirs) <= 0:
        return []
    ratio = math.sqrt(theirs / ours)
    larger, smaller = (second, first) if ratio > 1 else (first, second)
    if max(ratio, 1 / ratio) < _LARGER or not _holds_more(larger, smaller, max(ratio, 1 / ratio)):
        return []
    return [(math.copysign(2.0, math.log(ratio)), "more detail in the shared part")]


def _holds_more(larger: Facts, smaller: Facts, shrink: float) -> bool:
    """Whether the larger one would lose anything at the other's size: an enlarged copy would not, nor a soft photo."""
    if not larger.lost or not smaller.lost:
        return True  # kept by an earlier version, which counted pixels
    beyond = float(np.interp(shrink, SHRINKS, larger.lost))
    return beyond > _ENLARGED * smaller.lost[SHRINKS.index(2.0)]


def _formats(first: Facts, second: Facts) -> list[tuple[float, str]]:
    votes = []
    if first.same_pixels(second) and (first.format == "JPEG") != (second.format == "JPEG"):
        # The other way round the JPEG would have had to lose nothing.
        votes.append(
            (
                4.0 if second.format == "JPEG" else -4.0,
                "a JPEG, whose very pixels the other one holds",
            )
        )
    if first.few_colours != second.few_colours:
        votes.append((3.0 if first.few_colours else -3.0, "the other is left with 256 colours"))
    return votes


def _metadata(first: Facts, second: Facts) -> list[tuple[float, str]]:
    votes = []
    if bool(first.camera) != bool(second.camera):
        votes.append((2.0 if second.camera else -2.0, "camera data in the file"))
    edited = [any(name in facts.software.lower() for name in _EDITORS) for facts in (first, second)]
    if edited[0] != edited[1]:
        # A copy may have lost all that its edited original said of itself, but not where it still
        # names the camera.
        strength = 2.0 if (second if edited[0] else first).camera else 1.0
        votes.append((strength if edited[0] else -strength, "the other was written by an editor"))
    if first.taken and second.taken and first.taken != second.taken:
        votes.append((0.5 if second.taken < first.taken else -0.5, "taken earlier"))
    return votes


def _log_odds(probability: float) -> float:
    clipped = min(max(probability, 1e-4), 1 - 1e-4)
    return math.log(clipped / (1 - clipped))


def _area(outline: tuple[tuple[float, float], ...]) -> float:
    total = 0.0
    for place, (x, y) in enumerate(outline):
        next_x, next_y = outline[(place + 1) % len(outline)]
        total += x * next_y - next_x * y
    return abs(total) / 2
