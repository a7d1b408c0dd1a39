"""Candidates of one query against each other: what one reference explains needs no second one.

A part of an edited picture comes from one source. A reference that looks like the true one (the
next frame, the same face again) often passes when it is looked at alone; beside the true one it
does not. References that are copies of each
other are no rivals: the query may well have been made from both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asl.matching.align.homography import intersection_area, polygon_area
from asl.matching.values import Verdict

_F64 = npt.NDArray[np.float64]
Pair = tuple[int, int]  # rows of two candidates of one query, the smaller first
# a candidate below this probability loses nothing that matters, a rival below it takes nothing
_WORTH = 0.05
_MEET = 0.2  # overlap below which two candidates hardly explain the same
_KIN = 0.9  # probability from which on two references are of one family
_ASKED = 2  # members of a family that a candidate is held against
_LEVEL = (
    0.1  # log-odds; of two candidates that are this level neither can take anything that matters
)


@dataclass(frozen=True)
class _Family:
    """Candidates whose references are copies of each other: members surest first, and the weakest tie of them."""

    members: list[int]
    tie: float = 1.0


def kinship(
    verdicts: Mapping[int, Verdict], related: Callable[[int, int], float]
) -> dict[Pair, float]:
    """How probable it is that two references of one query are copies of each other, where that matters.

    Copies of copies are copies: a candidate is held against the two surest members of every family
    that is known so far, and its ties with the other members follow from those. One member would
    do, but for what lies between families; with two, all pairs of three candidates are asked about.

    Args:
        verdicts: row -> verdict, all of one query.
        related: two rows -> 0..1 for their references; only asked about candidates that both may be
            right and cover the same part of the query.
    """
    rows = [row for row, verdict in sorted(verdicts.items()) if _is_candidate(verdict)]
    rows.sort(key=lambda row: -verdicts[row].probability)
    found: dict[Pair, float] = {}
    families: list[_Family] = []
    for row in rows:
        own, others = _Family([row]), []
        for family in families:
            members = [
                other for other in family.members if _can_take(verdicts[other], verdicts[row])
            ]
            pairs = [(min(row, other), max(row, other)) for other in members]
            found |= {pair: related(*pair) for pair in pairs[:_ASKED]}
            best = max((found[pair] for pair in pairs[:_ASKED]), default=0.0)
            found |= dict.fromkeys(pairs[_ASKED:], min(best, family.tie))
            if best >= _KIN:
                joined = sorted(family.members + own.members, key=rows.index)
                own = _Family(joined, min(best, family.tie, own.tie))
            else:
                others.append(family)
        families = [*others, own]
    return found


def _can_take(surer: Verdict, other: Verdict) -> bool:
    gap = _log_odds(surer.probability) - _log_odds(other.probability)
    return gap >= _LEVEL and overlap(_part(surer), _part(other)) >= _MEET


def explained_away(
    queries: npt.NDArray[np.int64],
    odds: _F64,
    verdicts: Mapping[int, Verdict],
    kin: Mapping[Pair, float],
) -> tuple[_F64, npt.NDArray[np.int64]]:
    """Log-odds to take away from each pair, and for whose sake.

    A pair whose rival over the same part of the query is surer loses as much again as it lies
    behind, times the intersection of both parts over their union, times the probability that the
    two references are not copies of each other. What a rival has lost itself, it cannot take from
    others. Parts of a collage do not meet and are no rivals.

    Args:
        queries: int64 ``[N]``, the query of each pair.
        odds: float64 ``[N]``, log-odds that the pair is a copy, each looked at alone.
        verdicts: pair -> where the two images show the same; pairs without any are nobody's rivals.
        kin: from :func:`kinship`; references that are not in it are taken for unrelated.

    Returns:
        float64 ``[N]``, 0 or more; and int64 ``[N]``, the pair that explains the same part better,
        -1 where none does.
    """
    left, surer = odds.copy(), np.full(len(odds), -1, dtype=np.int64)
    groups: dict[int, list[int]] = {}
    for row, verdict in verdicts.items():
        if verdict.seen and verdict.regions:
            groups.setdefault(int(queries[row]), []).append(row)
    for rows in groups.values():
        rows.sort(key=lambda row: -odds[row])
        for place, row in enumerate(rows):
            taken, surer[row] = _taken(row, rows[:place], odds, left, verdicts, kin)
            left[row] -= taken
    return odds - left, surer


def _taken(
    row: int,
    rivals: Iterable[int],
    odds: _F64,
    left: _F64,
    verdicts: Mapping[int, Verdict],
    kin: Mapping[Pair, float],
) -> tuple[float, int]:
    """What the rivals of one pair, surest first, take from it at most; ``left`` is what they have left themselves."""
    most, whose = 0.0, -1
    for rival in rivals:
        if odds[rival] - odds[row] <= most:  # the next ones are no surer
            break
        gap = (left[rival] - odds[row]) * (1.0 - kin.get((min(row, rival), max(row, rival)), 0.0))
        if gap > most:
            gap *= overlap(_part(verdicts[row]), _part(verdicts[rival]))
        if gap > most:
            most, whose = float(gap), rival
    return most, whose


def _is_candidate(verdict: Verdict) -> bool:
    return verdict.seen and bool(verdict.regions) and verdict.probability >= _WORTH


def _log_odds(probability: float) -> float:
    clipped = min(max(probability, 1e-9), 1 - 1e-9)
    return float(np.log(clipped / (1 - clipped)))


def _part(verdict: Verdict) -> npt.NDArray[np.float32]:
    return verdict.regions[0].query_outline


def overlap(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    """Intersection over union of two convex outlines ``[V, 2]``, drawn either way round; 0 where one has no area."""
    one, other = first.astype(np.float64), second.astype(np.float64)
    areas = polygon_area(one), polygon_area(other)
    if min(areas) <= 0.0:
        return 0.0
    shared = intersection_area(one, other)
    return float(min(1.0, shared / max(sum(areas) - shared, 1e-12)))
