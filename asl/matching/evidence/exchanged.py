"""Predict the evidence of a pair whose query and reference are exchanged, without measuring it."""

from __future__ import annotations

from dataclasses import replace

from asl.matching.values import EVIDENCE, Evidence

_QUERY, _REFERENCE = "_query", "_reference"


def exchanged(evidence: Evidence) -> Evidence:
    """Exchange what was measured in the query and in the reference.

    The agreement of the pixels is hardly another one on the other image's grid, so it is kept.
    What has no counterpart is kept, too: ``tone``, and ``outside_flat``, which is measured in the
    query alone.

    Args:
        evidence: of query -> reference.

    Returns:
        The evidence to expect of reference -> query by the same alignment.

    >>> other = exchanged(Evidence(cover_query=0.4, cover_reference=0.9, detail=-0.5))
    >>> other.cover_query, other.cover_reference, other.detail
    (0.9, 0.4, 0.5)
    """
    values = {_counterpart(name): getattr(evidence, name) for name in EVIDENCE}
    return replace(Evidence(**values), detail=-evidence.detail)


def _counterpart(name: str) -> str:
    if name.endswith(_QUERY):
        return name.removesuffix(_QUERY) + _REFERENCE
    if name.endswith(_REFERENCE):
        return name.removesuffix(_REFERENCE) + _QUERY
    return name
