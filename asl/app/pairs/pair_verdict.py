"""Verdict on an unordered pair of images, from the verifier run in both directions."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace

Outline = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class PairVerdict:
    """Verdict on a pair of images, called first and second.

    Attributes:
        forward: probability in 0..1 that the first is a copy of the second.
        backward: probability in 0..1 that the second is a copy of the first.
        first_outline: corners (x, y) of the shared area as shares 0..1 of the first image; empty
            without an alignment.
        second_outline: the same corners in the second image.
        share_first: share of the first image that the second covers.
        share_second: share of the second image that the first covers.
        edits: probable edits in words, for the surer direction.
        edits_forward: the same if the first is a copy of the second; empty where not measured.
        edits_backward: the same if the second is a copy of the first.
        reason: one sentence for people; ``query`` is the first image, ``reference`` the second.
        seen: False if there was too little structure to decide.
        greyed: 1 if the first is grey where the second has colours, -1 the other way round, else 0.
        overlaid: 1 if something (text, a sticker) was laid over the first, -1 if over the second,
            else 0.
        framed: 1 if the first is the second with a border, a bar or a screen around it, -1 the
            other way round, else 0.
        identical: True for byte-identical files, which are not verified.
        same_moment: probability in 0..1 that the two are shots of one moment, neither made from the
            other.
    """

    forward: float
    backward: float
    first_outline: Outline = ()
    second_outline: Outline = ()
    share_first: float = 0.0
    share_second: float = 0.0
    edits: tuple[str, ...] = ()
    edits_forward: tuple[str, ...] = ()
    edits_backward: tuple[str, ...] = ()
    reason: str = ""
    seen: bool = True
    greyed: int = 0
    overlaid: int = 0
    framed: int = 0
    identical: bool = False
    same_moment: float = 0.0

    @property
    def probability(self) -> float:
        """Probability in 0..1 that one of the two is a copy of the other."""
        return max(self.forward, self.backward)

    def flipped(self) -> PairVerdict:
        """Return the verdict with first and second exchanged."""
        return replace(
            self,
            forward=self.backward,
            backward=self.forward,
            first_outline=self.second_outline,
            second_outline=self.first_outline,
            share_first=self.share_second,
            share_second=self.share_first,
            edits_forward=self.edits_backward,
            edits_backward=self.edits_forward,
            reason=reworded(self.reason, query="reference", reference="query"),
            greyed=-self.greyed,
            overlaid=-self.overlaid,
            framed=-self.framed,
        )

    def to_json(self) -> str:
        """Serialise for the cache; :meth:`from_json` is the inverse."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> PairVerdict:
        """Read a verdict written by :meth:`to_json`."""
        raw = json.loads(text)
        for key in ("first_outline", "second_outline"):
            raw[key] = tuple((float(x), float(y)) for x, y in raw[key])
        for key in ("edits", "edits_forward", "edits_backward"):
            raw[key] = tuple(raw[key])
        return cls(**raw)


SAME_FILE = PairVerdict(
    1.0,
    1.0,
    share_first=1.0,
    share_second=1.0,
    edits=("exact copy",),
    reason="the same file, byte for byte",
    identical=True,
)
SAME_PIXELS = replace(
    SAME_FILE,
    edits=("re-encoded",),
    reason="identical pixels in two different files",
    identical=False,
)
SAME_THUMBNAIL = replace(
    SAME_PIXELS,
    reason="the same pixels at the size that is compared",
)


def reworded(reason: str, *, query: str, reference: str) -> str:
    """Replace the words for the two images in a reason.

    >>> reworded("the query shows all of the reference", query="copy", reference="original")
    'the copy shows all of the original'
    """
    words = {"query": query, "reference": reference}
    return re.sub("query|reference", lambda match: words[match[0]], reason)


def outline_area(outline: Outline) -> float:
    """Area of a polygon (shoelace formula)."""
    total = 0.0
    for place, (x, y) in enumerate(outline):
        next_x, next_y = outline[(place + 1) % len(outline)]
        total += x * next_y - next_x * y
    return abs(total) / 2
