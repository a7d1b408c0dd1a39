"""Explain a verdict in words: direction, matched shares, pose, remarks."""

from __future__ import annotations

import numpy as np

from asl.counts import counted
from asl.matching.evidence.examine import Findings
from asl.matching.values import Evidence, Region

_COPY = 0.5  # probability from which a pair is described as a copy
_THIN_LINES = 0.03  # share of the compared area that differs in thin lines, from which it is named
_LITTLE_SEEN = 0.2  # evidence.seen below which the images have too little structure


def direction_of(probability: float, evidence: Evidence) -> str:
    """Direction of a pair: ``query<-reference``, ``reference<-query`` or ``none``.

    Args:
        probability: that the query is a copy of the reference, 0..1.
        evidence: measurements of the pair.
    """
    if evidence.seen <= 0:
        return "none"
    if probability >= _COPY:
        return "query<-reference"
    if evidence.aligned and _consistent(evidence) and _is_wider(evidence):
        return "reference<-query"
    return "none"


def explain(
    probability: float, evidence: Evidence, regions: tuple[Region, ...], findings: Findings
) -> str:
    """Explain a verdict in one or two clauses for people; shares in whole percents.

    Args:
        probability: that the query is a copy of the reference, 0..1.
        evidence: measurements of the pair.
        regions: regions that both images show, best first.
        findings: alignments and comparison behind the evidence.
    """
    if evidence.seen <= 0:
        return "too little structure to compare"
    if not evidence.aligned:
        return (
            "too little structure to compare"
            if evidence.seen < _LITTLE_SEEN
            else "no part of one was found in the other"
        )
    matched = (
        f"{_percent(evidence.cover_query)} of the query matches "
        f"{_percent(evidence.cover_reference)} of the reference{_pose(regions)}"
    )
    return f"{matched}; {_remarks(probability, evidence, findings)}"


def _percent(share: float) -> str:
    """Share 0..1 as "84 %"; "all" from 98.5 %."""
    return "all" if share > 0.985 else f"{max(1, round(100 * share))} %"


def _pose(regions: tuple[Region, ...]) -> str:
    """Mirroring, rotation and number of regions, in parentheses."""
    if not regions:
        return ""
    first = regions[0]
    words = ["mirrored"] if first.mirrored else []
    if abs(first.rotation) >= 3:
        words.append(f"turned by {abs(first.rotation):.0f}°")
    if len(regions) > 1:
        words.append(f"in {counted(len(regions), 'region')}")
    return f" ({', '.join(words)})" if words else ""


def _consistent(evidence: Evidence) -> bool:
    """Check that the aligned pixels agree, added pieces aside."""
    return evidence.corr_kept > 0.6 and evidence.diffuse < 0.05


def _is_wider(evidence: Evidence) -> bool:
    """Check that the query shows more of the scene than the reference."""
    return evidence.inside_query > 0.1 and evidence.cover_reference > evidence.cover_query


def _remarks(probability: float, evidence: Evidence, findings: Findings) -> str:
    """List the differences of a copy, or the reason why the pair is no copy."""
    if probability < _COPY:
        if _consistent(evidence) and _is_wider(evidence):
            return (
                "they agree, but the query shows more of the scene: the reference looks cut from it"
            )
        return "what is left differs in structure: another picture of something alike"
    notes = ["inverted"] if findings.negative else []
    if evidence.bend > 0 and evidence.bent_low > evidence.corr_low + 0.3:
        notes.append("bent locally")
    elif evidence.added > 0.01:
        notes.append(f"{_percent(evidence.added)} of it covered or added{_place(findings)}")
    elif evidence.diffuse > _THIN_LINES:
        notes.append("thin lines differ (text, watermark)")
    if evidence.detail < -0.7:
        notes.append("blurred or coarser")
    if evidence.outside_flat > 0.8 and evidence.cover_query < 0.97:
        notes.append("padded with a plain colour")
    elif evidence.cover_query < 0.9 and evidence.inside_query > 0.3:
        notes.append("pasted into another picture")
    return ", ".join(notes) if notes else "nothing else differs"


def _place(findings: Findings) -> str:
    """Position of the added pieces' centre, in words."""
    if findings.comparison is None or not findings.comparison.added.any():
        return ""
    rows, columns = np.nonzero(findings.comparison.added)
    height, width = findings.comparison.added.shape
    y, x = rows.mean() / height, columns.mean() / width
    vertical = "top" if y < 0.33 else "bottom" if y > 0.67 else ""
    horizontal = "left" if x < 0.33 else "right" if x > 0.67 else ""
    position = " ".join(word for word in (vertical, horizontal) if word)
    return f" at the {position}" if position else " in the middle"
