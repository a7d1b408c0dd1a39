"""From two prepared images to the numbers of the decision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asl.matching.align.dense import align_dense
from asl.matching.align.feature_alignment import Matches, align, all_matches
from asl.matching.align.homography import distortion
from asl.matching.align.prepare import Prepared
from asl.matching.evidence.agreement import Comparison, agreement, compare
from asl.matching.evidence.bend import matched_flow, unbend
from asl.matching.evidence.direction import coverage
from asl.matching.evidence.overlay import Overlay, lay_over
from asl.matching.values import Alignment, Evidence, Settings

_CLEAR = 0.3  # median local correlation from which on a pair is taken as it is, not as a negative
_STIFF = 0.6  # first decile of the local correlation from which on no bend is looked for
_MANY = 20  # matches that agree or nearly agree, from which on a bend is looked for
_PLENTY = 60  # local features from which on an image counts as fully seen


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything that was found out about a pair, for the decision and for pictures of it."""

    evidence: Evidence
    alignments: tuple[Alignment, ...] = ()
    overlay: Overlay | None = None
    comparison: Comparison | None = None
    negative: bool = False  # the query was read as a photographic negative


def examine(query: Prepared, reference: Prepared, settings: Settings) -> Findings:
    """Align a pair, lay one over the other, and write down what is left.

    Args:
        query: the edited image, perhaps.
        reference: the original, perhaps.
        settings: how hard to look.
    """
    found = _look(query, reference, settings, dense=settings.dense)
    inverted = False
    if _agreement(found) < _CLEAR:
        turned = query.negative  # an inverted copy agrees with nothing until it is inverted back
        other = _look(turned, reference, settings, dense=False)
        inverted = _agreement(other) > max(_agreement(found), _CLEAR)
        if inverted:
            query, found = turned, other
    seen = _seen(query, reference)
    if found.best is None:
        return Findings(Evidence(seen=seen, parallax=0.0, support=0.0))
    alignments, overlay, comparison = found.best
    main = alignments[0]
    evidence = Evidence(
        aligned=1.0,
        seen=seen,
        inliers=float(np.log1p(main.inliers)),
        support=min(1.0, main.inliers / max(max(len(reading) for reading in found.readings), 1)),
        parallax=main.near / max(main.near + main.inliers, 1),
        residual=main.residual,
        distortion=distortion(main.matrix, reference.shape),
        mirrored=float(main.mirrored),
        dense=float(main.dense),
        **comparison.values,
        **_bent(main, overlay, comparison, found.readings, query.shape[1]),
        **coverage(query, reference, alignments),
    )
    return Findings(evidence, tuple(alignments), overlay, comparison, inverted)


def _bent(
    alignment: Alignment,
    overlay: Overlay,
    comparison: Comparison,
    readings: list[Matches],
    width: int,
) -> dict[str, float]:
    """How the pair agrees after a smooth bend, tried where many features say that they are the same scene."""
    found = comparison.values
    values = {f"bent_{name}": found[f"corr_{name}"] for name in ("low", "quarter", "kept")}
    if found["corr_low"] >= _STIFF or alignment.inliers + alignment.near < _MANY:
        return values
    own = next((matches for matches in readings if matches.mirrored == alignment.mirrored), None)
    bent = unbend(
        overlay, matched_flow(overlay, alignment, own, width) if own is not None else None
    )
    if bent is None:
        return values
    after = agreement(bent[0])
    return {f"bent_{name}": after[f"corr_{name}"] for name in ("low", "quarter", "kept")} | bent[1]


@dataclass(frozen=True, eq=False)
class _Look:
    """The best alignments of one reading of a pair, and the matches that it had to go on."""

    best: tuple[list[Alignment], Overlay, Comparison] | None
    readings: list[Matches]


def _look(query: Prepared, reference: Prepared, settings: Settings, *, dense: bool) -> _Look:
    readings = all_matches(query, reference, settings)
    best = _best(query, reference, align(query, reference, readings, settings))
    if best is None and dense:
        best = _best(query, reference, align_dense(query, reference, mirrored=settings.mirrored))
    return _Look(best, readings)


def _agreement(look: _Look) -> float:
    """The median local correlation of the best overlay, -1 without one."""
    return look.best[2].values["corr_median"] if look.best else -1.0


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
