"""Direct the pairs of a collage together: one certain source tells what the others are.

A picture that is a part of another one is its source or was cut from it; the pair alone often
cannot tell. Where the other one certainly shows a third picture elsewhere, pasted, it is no
photograph that could be cut: the picture is a source, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from asl.app.pairs.edits_seen import PASTED, SCREENSHOT
from asl.app.pairs.framed import COMPLETE_SHARE, PARTIAL_SHARE
from asl.app.pairs.origin import CLEAR_VOTE, Origin
from asl.app.pairs.pair_verdict import Outline, outline_area
from asl.app.scanning.result import MatchedPair
from asl.matching.align.plane_geometry import intersection_area

WHY = "the other is a collage of it and another picture"
LEAST_SURE = 0.9  # probability of the pair with the certain source
MOST_OVERLAP = 0.1  # share of the smaller part of the collage that the two may have in common


def with_collage_sources(pairs: Sequence[MatchedPair]) -> list[MatchedPair]:
    """Return the pairs; unclear ones of a collage and a further picture of it get the direction.

    Args:
        pairs: of a scan, in any order.
    """
    pasted: dict[int, list[Outline]] = defaultdict(list)
    for pair in pairs:
        edits = pair.verdict.edits
        sure = pair.origin.clear and pair.probability >= LEAST_SURE
        if sure and (PASTED in edits or SCREENSHOT in edits) and pair.verdict.second_outline:
            pasted[pair.copy].append(pair.verdict.second_outline)
    return [_directed(pair, pasted) for pair in pairs]


def _directed(pair: MatchedPair, pasted: Mapping[int, Sequence[Outline]]) -> MatchedPair:
    if pair.origin.clear or pair.verdict.identical or pair.same_moment:
        return pair
    for source in (pair.original, pair.copy):
        turned = pair.under(source)
        if any(_are_two_parts(turned, other) for other in pasted.get(turned.copy, ())):
            return replace(turned, origin=Origin(CLEAR_VOTE, WHY))
    return pair


def _are_two_parts(pair: MatchedPair, other: Outline) -> bool:
    """Check that the copy shows all of the original, in a part that the other one leaves free."""
    verdict, outline = pair.verdict, pair.verdict.second_outline
    if not (verdict.share_first > COMPLETE_SHARE and verdict.share_second < PARTIAL_SHARE):
        return False
    least = min(outline_area(outline), outline_area(other))
    common = intersection_area(np.array(outline, np.float64), np.array(other, np.float64))
    return len(outline) > 2 and common <= MOST_OVERLAP * least
