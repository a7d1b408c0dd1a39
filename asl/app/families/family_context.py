"""Compare the two pictures of a pair by the rest of their family: who is nearer to the others.

A picture that was made from another one has lost what its edit took, so it is no nearer to any
third picture than its parent is, but for its own copies. One pair alone cannot tell a parent from a
sibling after strong edits; the pairs of both with the others can.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asl.types import F64

CONTEXT_CUES = (
    "nearer",
    "nearer_share",
    "nearer_least",
    "liker",
    "liker_share",
    "made_of_parent",
    "made_of_child",
    "lead_parent",
    "lead_child",
    "lead",
    "covers",
    "covered",
    "strength",
    "matches_parent",
    "matches_child",
)
MOST_THIRD = 32  # surest pairs of a picture that are looked at, so that time grows with the pairs
MOST_LEAD = 6.0  # log-odds


@dataclass(frozen=True)
class DirectedLink:
    """A pair as one of its two pictures sees it.

    Attributes:
        made: log-odds that the other one is a copy of this one.
        made_of: log-odds that this one is a copy of the other.
        covers: share of the other one that this one shows.
        covered: share of this one that the other one shows.
        difference: of the aligned pixels in grey levels; None where it was not measured.
    """

    made: float
    made_of: float
    covers: float
    covered: float
    difference: float | None

    @property
    def surest(self) -> float:
        """Log-odds that one is a copy of the other."""
        return max(self.made, self.made_of)

    def flipped(self) -> DirectedLink:
        """Return the pair as the other one sees it."""
        return DirectedLink(self.made_of, self.made, self.covered, self.covers, self.difference)


Links = dict[int, DirectedLink]  # the other picture -> the pair


def context_cues(pairs: Sequence[tuple[int, int, DirectedLink]]) -> F64:
    """Measure :data:`CONTEXT_CUES` of candidate parents.

    Args:
        pairs: (parent, child, the pair as the parent sees it), each pair in both directions.

    Returns:
        float64 ``[pairs, cues]``. Pairs that are more probably no copies do not count.
    """
    links: dict[int, Links] = defaultdict(dict)
    for parent, child, link in pairs:
        if link.surest > 0:
            links[parent][child] = link
    for image, seen in links.items():
        if len(seen) > MOST_THIRD:
            surest = sorted(seen.items(), key=lambda pair: (-pair[1].surest, pair[0]))
            links[image] = dict(surest[:MOST_THIRD])
    own = {image: _own(list(seen.values())) for image, seen in links.items()}
    alone = _own([])
    rows = [
        [
            *_third(parent, child, links.get(parent, {}), links.get(child, {})),
            *_difference(own.get(parent, alone), own.get(child, alone)),
        ]
        for parent, child, _ in pairs
    ]
    return np.array(rows, np.float64).reshape(len(pairs), len(CONTEXT_CUES))


@dataclass(frozen=True)
class _Own:
    """Means over the pairs of a picture; ``lead`` is high for one that the others come from."""

    lead: float
    covers: float
    covered: float
    strength: float
    matches: int


def _own(links: Sequence[DirectedLink]) -> _Own:
    if not links:
        return _Own(0.0, 0.0, 0.0, 0.0, 0)
    leads = [min(max(link.made - link.made_of, -MOST_LEAD), MOST_LEAD) for link in links]
    return _Own(
        sum(leads) / len(links),
        sum(link.covers for link in links) / len(links),
        sum(link.covered for link in links) / len(links),
        sum(link.surest for link in links) / len(links),
        len(links),
    )


def _difference(parent: _Own, child: _Own) -> list[float]:
    return [
        parent.lead,
        child.lead,
        parent.lead - child.lead,
        parent.covers - child.covers,
        parent.covered - child.covered,
        parent.strength - child.strength,
        float(parent.matches),
        float(child.matches),
    ]


def _third(parent: int, child: int, of_parent: Links, of_child: Links) -> list[float]:
    """Compare the pairs of both with every third picture that matches one of them."""
    others = (of_parent.keys() | of_child.keys()) - {parent, child}
    if not others:
        return [0.0] * 7
    pairs = [
        (of_parent.get(other, _NO_LINK), of_child.get(other, _NO_LINK)) for other in sorted(others)
    ]
    nearer = [first.surest - second.surest for first, second in pairs]
    made = [max(first.made, 0.0) - max(second.made, 0.0) for first, second in pairs]
    made_of = [max(second.made_of, 0.0) - max(first.made_of, 0.0) for first, second in pairs]
    liker = [
        second.difference - first.difference
        for first, second in pairs
        if first.difference is not None and second.difference is not None
    ]
    return [
        float(np.mean(nearer)),
        float(np.mean(np.sign(nearer))),
        min(nearer),
        float(np.mean(liker)) if liker else 0.0,
        float(np.mean(np.sign(liker))) if liker else 0.0,
        float(np.mean(made)),
        float(np.mean(made_of)),
    ]


_NO_LINK = DirectedLink(0.0, 0.0, 0.0, 0.0, None)
