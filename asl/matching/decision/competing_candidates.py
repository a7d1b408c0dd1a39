"""Compare the candidates of one query: competing candidates for one part of it lose probability.

A part of an edited picture comes from one source. A reference that resembles the true one (the
next frame, the same face again) often passes when it is verified alone; beside the true one it
does not. Near-duplicate references (copies of each other) do not compete: the query may have been
made from either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from asl.matching.align.plane_geometry import intersection_area, polygon_area
from asl.matching.values import Verdict
from asl.types import F32, F64, I64

Pair = tuple[int, int]  # rows of two candidates of one query, the smaller first
# A candidate below this probability has nothing to lose, a competitor below it takes nothing.
_MIN_PROBABILITY = 0.05
_MIN_OVERLAP = 0.2  # overlap below which two candidates hardly explain the same part
_SAME_FAMILY = 0.9  # probability from which two references belong to one family
_MEMBERS_COMPARED = 2  # members of a family that a candidate is compared with
# Log-odds: of two candidates closer than this, neither can take anything that matters.
_MIN_ODDS_GAP = 0.1


@dataclass(frozen=True)
class _Family:
    """Candidates whose references are near-duplicates of each other.

    Attributes:
        members: rows, surest first.
        tie: lowest probability that connected two of them.
    """

    members: list[int]
    tie: float = 1.0


def near_duplicate_references(
    verdicts: Mapping[int, Verdict], related: Callable[[int, int], float]
) -> dict[Pair, float]:
    """Estimate which references of one query are near-duplicates, where that changes a score.

    Copies of copies are copies: a candidate is compared with the two surest members of every family
    that is known so far, and its ties with the other members follow from those. One member would
    miss candidates between two families; with two, all pairs of three candidates are compared.

    Args:
        verdicts: row -> verdict, all of one query.
        related: probability, 0..1, that the references of two rows are copies of each other; called
            only for candidates that both may be right and cover the same part of the query.

    Returns:
        Pair of rows -> probability that their references are near-duplicates.
    """
    rows = [row for row, verdict in sorted(verdicts.items()) if _is_probable(verdict)]
    rows.sort(key=lambda row: -verdicts[row].probability)
    probabilities: dict[Pair, float] = {}
    families: list[_Family] = []
    for row in rows:
        own, others = _Family([row]), []
        for family in families:
            members = [
                other for other in family.members if _can_take(verdicts[other], verdicts[row])
            ]
            pairs = [(min(row, other), max(row, other)) for other in members]
            compared, inferred = pairs[:_MEMBERS_COMPARED], pairs[_MEMBERS_COMPARED:]
            probabilities |= {pair: related(*pair) for pair in compared}
            best = max((probabilities[pair] for pair in compared), default=0.0)
            probabilities |= dict.fromkeys(inferred, min(best, family.tie))
            if best >= _SAME_FAMILY:
                joined = sorted(family.members + own.members, key=rows.index)
                own = _Family(joined, min(best, family.tie, own.tie))
            else:
                others.append(family)
        families = [*others, own]
    return probabilities


def _can_take(surer: Verdict, other: Verdict) -> bool:
    """Check that the surer candidate can lower the other: a gap in odds and an overlapping part."""
    gap = _log_odds(surer.probability) - _log_odds(other.probability)
    return gap >= _MIN_ODDS_GAP and overlap(_query_part(surer), _query_part(other)) >= _MIN_OVERLAP


def explained_away(
    queries: I64,
    odds: F64,
    verdicts: Mapping[int, Verdict],
    near_duplicates: Mapping[Pair, float],
) -> tuple[F64, I64]:
    """Compute the log-odds that each pair loses to a surer competitor, and name the competitor.

    A pair loses its gap in log-odds to the surest competitor over the same part of the query, times
    the overlap of both parts (intersection over union), times the probability that the two
    references are not near-duplicates. A competitor cannot take what it has lost itself. Separate
    parts of a collage do not overlap and do not compete.

    Args:
        queries: int64 ``[N]``, the query of each pair.
        odds: float64 ``[N]``, log-odds that the pair is a copy, verified alone.
        verdicts: pair -> verdict; pairs without regions do not compete.
        near_duplicates: from :func:`near_duplicate_references`; missing pairs are unrelated.

    Returns:
        float64 ``[N]`` log-odds to subtract, 0 or more; and int64 ``[N]`` row of the competitor
        that explains the same part better, -1 if nothing does.
    """
    remaining = odds.copy()
    competitor = np.full(len(odds), -1, dtype=np.int64)
    groups: dict[int, list[int]] = {}
    for row, verdict in verdicts.items():
        if verdict.seen and verdict.regions:
            groups.setdefault(int(queries[row]), []).append(row)
    for rows in groups.values():
        rows.sort(key=lambda row: -odds[row])
        for rank, row in enumerate(rows):
            loss, competitor[row] = _loss(
                row, rows[:rank], odds, remaining, verdicts, near_duplicates
            )
            remaining[row] -= loss
    return odds - remaining, competitor


def _loss(
    row: int,
    surer_rows: Iterable[int],
    odds: F64,
    remaining: F64,
    verdicts: Mapping[int, Verdict],
    near_duplicates: Mapping[Pair, float],
) -> tuple[float, int]:
    """Largest loss of one pair to any of ``surer_rows`` (surest first), and the row that takes it.

    ``remaining`` holds the log-odds that the surer rows have kept themselves.
    """
    largest, competitor = 0.0, -1
    for other in surer_rows:
        if odds[other] - odds[row] <= largest:  # the following ones are no surer
            break
        pair = (min(row, other), max(row, other))
        loss = (remaining[other] - odds[row]) * (1.0 - near_duplicates.get(pair, 0.0))
        if loss > largest:
            loss *= overlap(_query_part(verdicts[row]), _query_part(verdicts[other]))
        if loss > largest:
            largest, competitor = float(loss), other
    return largest, competitor


def _is_probable(verdict: Verdict) -> bool:
    return verdict.seen and bool(verdict.regions) and verdict.probability >= _MIN_PROBABILITY


def _log_odds(probability: float) -> float:
    clipped = min(max(probability, 1e-9), 1 - 1e-9)
    return float(np.log(clipped / (1 - clipped)))


def _query_part(verdict: Verdict) -> F32:
    """Outline of the best region in the query."""
    return verdict.regions[0].query_outline


def overlap(first: F32, second: F32) -> float:
    """Intersection over union of two convex outlines ``[V, 2]`` of either orientation.

    Returns:
        0..1; 0 where one outline has no area.

    >>> import numpy as np
    >>> square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    >>> overlap(square, square * [0.5, 1])
    0.5
    """
    one, other = first.astype(np.float64), second.astype(np.float64)
    areas = polygon_area(one), polygon_area(other)
    if min(areas) <= 0.0:
        return 0.0
    shared = intersection_area(one, other)
    return float(min(1.0, shared / max(sum(areas) - shared, 1e-12)))
