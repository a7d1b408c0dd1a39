"""Answers of a detector: matches of a query, outcome of adding references."""

from __future__ import annotations

from dataclasses import dataclass

from asl.app.pairs.pair_verdict import Outline


@dataclass(frozen=True)
class Match:
    """A reference that may be the original of the query, or a copy of it.

    Attributes:
        reference: name of the reference.
        probability: 0..1, from the aligned pixels, that one of the two is a copy of the other.
        accepted: True if the probability reaches the detector's threshold.
        direction: ``reference->query`` (the reference is the original), ``query->reference`` (the
            query is the original) or ``unclear``; the arrow points at the copy.
        score: ``hinge`` score of the embeddings, higher = surer that the query is a copy of the
            reference.
        cosine: of the embeddings of the whole images; a region may have made the reference a
            candidate.
        query_log_norm: ln |f| of the query; the image with the larger one holds more of the
            original.
        reference_log_norm: ln |f| of the reference.
        why: strongest cue for the direction; empty where the direction is unclear.
        reason: one sentence on the content that the two share.
        edits: probable edits in words.
        query_outline: corners (x, y) of the shared area as shares 0..1 of the query; empty without
            an alignment.
        reference_outline: the same corners in the reference.
    """

    reference: str
    probability: float
    accepted: bool
    direction: str
    score: float
    cosine: float
    query_log_norm: float
    reference_log_norm: float
    why: str
    reason: str
    edits: tuple[str, ...]
    query_outline: Outline
    reference_outline: Outline


@dataclass(frozen=True)
class Added:
    """Outcome of :meth:`CopyDetector.add`.

    Attributes:
        added: names that are new, or have a new content.
        unchanged: names that had the same content already.
        failures: (name, reason) of images that could not be used.
        replaced: those of ``added`` that had another content before, which is gone.
    """

    added: tuple[str, ...]
    unchanged: tuple[str, ...]
    failures: tuple[tuple[str, str], ...]
    replaced: tuple[str, ...] = ()
