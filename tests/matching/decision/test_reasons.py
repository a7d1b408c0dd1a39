"""The sentence that people read, from evidence that is known."""

from __future__ import annotations

import numpy as np
import pytest

from asl.matching.decision.reasons import direction_of, explain
from asl.matching.evidence.examine import Findings
from asl.matching.values import Evidence, Region

BOX = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
CONSISTENT = {"aligned": 1.0, "seen": 1.0, "corr_kept": 0.9, "corr_low": 0.9, "bent_low": 0.9}


def said(
    probability: float,
    *,
    rotation: float = 0.0,
    mirrored: bool = False,
    count: int = 1,
    **values: float,
) -> str:
    evidence = Evidence(**{**CONSISTENT, "cover_query": 1.0, "cover_reference": 0.5, **values})
    regions = (Region(BOX, BOX, mirrored, rotation, 1.0),) * count
    return explain(probability, evidence, regions, Findings(evidence))


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        (said(0.9), "all of the query matches 50 % of the reference; nothing else differs"),
        (said(0.9, mirrored=True, rotation=-12.4), "(mirrored, turned by 12°)"),
        (said(0.9, count=3), "(in 3 regions)"),
        (said(0.9, added=0.2), "20 % of it covered or added"),
        (said(0.9, diffuse=0.05), "thin lines differ (text, watermark)"),
        (said(0.9, detail=-1.2), "blurred or coarser"),
        (said(0.9, outside_flat=0.9, cover_query=0.6), "padded with a plain colour"),
        (said(0.9, inside_query=0.9, cover_query=0.3), "pasted into another picture"),
        (said(0.9, corr_low=-0.1, bend=0.02), "bent locally"),
        (said(0.1, inside_query=0.9, cover_query=0.3), "the reference looks cut from it"),
        (said(0.1, corr_kept=0.2), "another picture of something alike"),
    ],
)
def test_the_sentence_names_what_was_seen(sentence: str, expected: str) -> None:
    assert expected in sentence


def test_without_an_alignment_it_says_why() -> None:
    for seen, expected in (
        (0.0, "too little structure"),
        (1.0, "no part of one was found in the other"),
    ):
        evidence = Evidence(seen=seen)
        assert expected in explain(0.0, evidence, (), Findings(evidence))


def test_without_a_single_feature_there_is_no_verdict() -> None:
    """A plain gradient aligns densely with anything: neither a direction nor an agreement."""
    evidence = Evidence(**{**CONSISTENT, "seen": 0.0, "dense": 1.0}, cover_query=1.0)
    assert direction_of(0.9, evidence) == "none"
    assert explain(0.9, evidence, (), Findings(evidence)) == "too little structure to compare"


def test_direction_is_asked_of_the_evidence_only_where_it_is_no_copy() -> None:
    wider = Evidence(**CONSISTENT, cover_query=0.3, cover_reference=1.0, inside_query=0.8)
    assert direction_of(0.8, wider) == "query<-reference"
    assert direction_of(0.2, wider) == "reference<-query"
    assert direction_of(0.2, Evidence(**{**CONSISTENT, "corr_kept": 0.1})) == "none"
