"""Candidates of one query against each other: what one reference explains needs no second one.

A part of an edited picture comes from one source. A reference that looks like the true one (the next frame, the same
face again) often passes when it is looked at alone; beside the true one it does not. Duplicates among the references
explain the same part equally well and stay.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

from asl.matching.values import Verdict

_F64 = npt.NDArray[np.float64]


def explained_away(
    queries: npt.NDArray[np.int64], odds: _F64, verdicts: Mapping[int, Verdict]
) -> tuple[_F64, npt.NDArray[np.int64]]:
    """Log-odds to take away from each pair, and for whose sake.

    A pair whose rival over the same part of the query is surer loses as much again as it lies behind, times the
    intersection of both parts over their union. Parts of a collage do not meet, so they are no rivals.

    Args:
        queries: int64 ``[N]``, the query of each pair.
        odds: float64 ``[N]``, log-odds that the pair is a copy, each looked at alone.
        verdicts: pair -> where the two images show the same; pairs without any are nobody's rivals.

    Returns:
        float64 ``[N]``, 0 or more; and int64 ``[N]``, the pair that explains the same part better, -1 where none does.
    """
    taken, surer = np.zeros(len(odds)), np.full(len(odds), -1, dtype=np.int64)
    outlines: dict[int, list[tuple[int, npt.NDArray[np.float32]]]] = {}
    for row, verdict in verdicts.items():
        if verdict.seen and verdict.regions:
            outlines.setdefault(int(queries[row]), []).append((row, verdict.regions[0].query_outline))
    for parts in outlines.values():
        parts.sort(key=lambda part: -odds[part[0]])
        for place, (row, outline) in enumerate(parts):
            behind = [(odds[rival] - odds[row]) * overlap(outline, other) for rival, other in parts[:place]]
            if max(behind, default=0.0) > 0.0:
                most = int(np.argmax(behind))
                taken[row], surer[row] = behind[most], parts[most][0]
    return taken, surer


def overlap(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    """Intersection over union of two convex outlines ``[V, 2]``; 0 where one has no area."""
    areas = [float(cv2.contourArea(outline)) for outline in (first, second)]
    if min(areas) <= 0.0:
        return 0.0
    shared = float(cv2.intersectConvexConvex(first, second)[0])
    return min(1.0, max(0.0, shared / max(sum(areas) - shared, 1e-12)))
