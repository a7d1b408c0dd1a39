"""Answers of a detector: matches of a query, outcome of adding references."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Literal

from asl.app.pairs.pair_verdict import Outline
from asl.types import UsageError

# The arrow points at the copy.
Direction = Literal["reference->query", "query->reference", "unclear"]
_LISTED = 20  # matches that a notebook shows


@dataclass(frozen=True, repr=False)
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
        path: file of the reference, where it came from one; an archive's members have the archive's
            path and theirs.
        same_moment: probability, 0..1, that the two are shots of one moment, neither made from the
            other.

    >>> facts = {"score": 0.81, "cosine": 0.81, "query_log_norm": -1.9, "reference_log_norm": -1.2}
    >>> texts = {"why": "the pixels agree in this direction only", "reason": ""}
    >>> outlines = {"query_outline": (), "reference_outline": ()}
    >>> match = Match("photo.jpg", 0.99, True, "reference->query", edits=("cropped to 64 %",),
    ...               **facts, **texts, **outlines)
    >>> match
    <Match photo.jpg: 0.990, reference->query, cropped to 64 %>
    >>> if match.accepted and match.direction == "reference->query":
    ...     print("made from", match.reference)
    made from photo.jpg
    """

    reference: str
    probability: float
    accepted: bool
    direction: Direction
    score: float
    cosine: float
    query_log_norm: float
    reference_log_norm: float
    why: str
    reason: str
    edits: tuple[str, ...]
    query_outline: Outline
    reference_outline: Outline
    path: Path | None = None
    same_moment: float = 0.0

    def __repr__(self) -> str:
        edits = f", {', '.join(self.edits)}" if self.edits else ""
        return f"<Match {self.reference}: {self.probability:.3f}, {self.direction}{edits}>"


class Matches(list[Match]):
    """Matches of one query, surest first; a notebook shows them with their pictures.

    Attributes:
        query_picture: JPEG thumbnail of the query.
        picture: returns the JPEG thumbnail of a reference by its name; empty if it is gone.
        compared: number of candidates whose pixels were compared.
    """

    def __init__(
        self,
        matches: Iterable[Match],
        query_picture: bytes,
        picture: Callable[[str], bytes],
        compared: int = 0,
    ) -> None:
        super().__init__(matches)
        self.compared = compared
        self.query_picture = query_picture
        self.picture = picture

    def _repr_html_(self) -> str:
        query = f"<figure>{picture_html(self.query_picture)}<figcaption>query</figcaption></figure>"
        if not self:
            return f"<div>{query}<p>no match</p></div>"
        figures = "".join(
            f"<figure>{picture_html(self.picture(match.reference))}<figcaption>{_caption(match)}"
            "</figcaption></figure>"
            for match in self[:_LISTED]
        )
        more = len(self) - _LISTED
        rest = f"<p>and {more} more</p>" if more > 0 else ""
        return f'<div style="display: flex; flex-wrap: wrap">{query}{figures}</div>{rest}'


def least_shown(k: int, min_probability: float | None, threshold: float) -> float:
    """Check the limits of a query; return the probability below which matches are left out.

    Args:
        k: number of candidates.
        min_probability: as it was asked for; None: of what is accepted or more likely than not.
        threshold: probability from which a match is accepted.

    Raises:
        UsageError: ``k`` is no whole number or below 1, or no match can reach ``min_probability``.
    """
    if not isinstance(k, Integral):
        raise UsageError(f"k: expected a whole number, got {k!r}")
    if k < 1:
        raise UsageError(f"k: must be 1 or more, got {k}")
    if min_probability is None:
        return min(0.5, threshold)
    if not isinstance(min_probability, Real):
        raise UsageError(f"min_probability: expected a number, got {min_probability!r}")
    if not min_probability <= 1:
        raise UsageError(
            f"min_probability: must be 1 or less, got {min_probability:g}; none is more probable"
        )
    return min_probability


def picture_html(jpeg: bytes) -> str:
    """Return an image element that holds its JPEG."""
    data = base64.b64encode(jpeg).decode("ascii")
    return f'<img style="max-height: 10em" alt="" src="data:image/jpeg;base64,{data}">'


def _caption(match: Match) -> str:
    words = {
        "reference->query": "the original",
        "query->reference": "a copy of the query",
        "unclear": "original or copy",
    }
    text = f"{match.probability:.2f} {words[match.direction]}"
    lines = [match.reference, text, ", ".join(match.edits)]
    return "<br>".join(html.escape(line) for line in lines if line)


@dataclass(frozen=True)
class Answer:
    """Answer to one of several queries.

    Attributes:
        query: its name.
        matches: surest first; empty where the image cannot be used.
        failure: why the image cannot be used; empty if it can.
    """

    query: str
    matches: Matches
    failure: str = ""


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
