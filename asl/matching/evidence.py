"""From two prepared images to the numbers of the decision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asl.matching.align import align, all_matches
from asl.matching.compare import Comparison, compare
from asl.matching.coverage import coverage
from asl.matching.dense import align_dense
from asl.matching.geometry import distortion
from asl.matching.overlay import Overlay, lay_over
from asl.matching.prepare import Prepared
from asl.matching.values import Alignment, Evidence, Settings

_PLENTY = 60  # local features from which on an image counts as fully seen


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything that was found out about a pair, for the decision and for pictures of it."""

    evidence: Evidence
    alignments: tuple[Alignment, ...] = ()
    overlay: Overlay | None = None
    comparison: Comparison | None = None


def examine(query: Prepared, reference: Prepared, settings: Settings) -> Findings:
    """Align a pair, lay one over the other, and write down what is left.

    Args:
        query: the edited image, perhaps.
        reference: the original, perhaps.
        settings: how hard to look.
    """
    readings = all_matches(query, reference, settings)
    alignments = align(query, reference, readings, settings)
    best = _best(query, reference, alignments)
    if best is None and settings.dense:
        alignments = align_dense(query, reference)
        best = _best(query, reference, alignments)
    seen = _seen(query, reference)
    matched = max(len(reading) for reading in readings)
    if best is None:
        return Findings(Evidence(seen=seen, parallax=0.0, support=0.0))
    alignments, overlay, comparison = best
    main = alignments[0]
    evidence = Evidence(
        aligned=1.0,
        seen=seen,
        inliers=float(np.log1p(main.inliers)),
        support=min(1.0, main.inliers / max(matched, 1)),
        parallax=main.near / max(main.near + main.inliers, 1),
        residual=main.residual,
        distortion=distortion(main.matrix, reference.shape),
        mirrored=float(main.mirrored),
        dense=float(main.dense),
        **comparison.values,
        **coverage(query, reference, alignments),
    )
    return Findings(evidence, tuple(alignments), overlay, comparison)


def _seen(query: Prepared, reference: Prepared) -> float:
    return min(1.0, min(len(query.points), len(reference.points)) / _PLENTY)


def _best(
    query: Prepared, reference: Prepared, alignments: list[Alignment]
) -> tuple[list[Alignment], Overlay, Comparison] | None:
    """The alignment whose overlay agrees best first, then the others."""
    found = []
    for alignment in alignments:
        overlay = lay_over(query, reference, alignment)
        if overlay is not None:
            found.append((alignment, overlay, compare(overlay)))
    if not found:
        return None
    found.sort(key=lambda item: -item[2].values["corr_quarter"] * np.log1p(item[0].inliers + 1))
    return [item[0] for item in found], found[0][1], found[0][2]
