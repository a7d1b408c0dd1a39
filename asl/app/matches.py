"""What a detector answers."""

from __future__ import annotations

from dataclasses import dataclass

from asl.app.pair_verifier import Outline


@dataclass(frozen=True)
class Match:
    """A reference that a query may be a copy of, or that may be a copy of the query.

    Attributes:
        reference: name of the reference.
        probability: 0..1, that one was made from the other, from the aligned pixels.
        accepted: whether that is enough for the detector's precision.
        direction: ``reference->query`` (the query was made from the reference),
            ``query->reference``, or ``unclear``.
        score: of the embeddings (``hinge``), higher = surer that the query is a copy of the
            reference.
        cosine: of the whole images' embeddings; a part may have made the reference a candidate
            (``regions``).
        query_log_norm: ln |f| of the query; the image with the larger one holds more of the
            original.
        reference_log_norm: ln |f| of the reference.
        why: what speaks for the direction.
        reason: what the two have in common, in words.
        edits: what was probably done to the original.
        query_outline: corners (x, y) in 0..1 of what both show, in the query; empty where nothing
            was found.
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
    """What :meth:`CopyDetector.add` did.

    Attributes:
        added: names that are new, or have another content than before.
        unchanged: names that were there already with the same content.
        failures: (name, reason) of what could not be used.
    """

    added: tuple[str, ...]
    unchanged: tuple[str, ...]
    failures: tuple[tuple[str, str], ...]
