"""A picture in a part of a certain collage is a source of it, not a version."""

from __future__ import annotations

from dataclasses import replace

import pytest

from asl.app.pairs.edits_seen import PASTED
from asl.app.pairs.origin import CLEAR_VOTE, Origin
from asl.app.pairs.pair_verdict import Outline, PairVerdict
from asl.app.scanning.collage_sources import WHY, with_collage_sources
from asl.app.scanning.result import MatchedPair

FIRST, SECOND, COLLAGE = range(3)
WHOLE: Outline = ((0, 0), (1, 0), (1, 1), (0, 1))
LEFT: Outline = ((0, 0), (0.48, 0), (0.48, 1), (0, 1))
RIGHT: Outline = ((0.52, 0), (1, 0), (1, 1), (0.52, 1))


def verdict(outline: Outline, *edits: str) -> PairVerdict:
    return PairVerdict(0.2, 0.95, WHOLE, outline, 1.0, 0.48, edits=edits)


SURE = MatchedPair(FIRST, COLLAGE, 0.5, verdict(LEFT, PASTED), Origin(4.0, "the pixels agree"))
OPEN = MatchedPair(
    COLLAGE,
    SECOND,
    0.5,
    replace(verdict(RIGHT).flipped(), edits=("cropped to 48 %",)),
    Origin(0.2, "larger file"),
    (PASTED,),
    5,
    7,
)


@pytest.mark.parametrize("unclear", [OPEN, OPEN.under(SECOND)], ids=["one way", "other way"])
def test_the_second_picture_of_a_collage_is_a_source_of_it(unclear: MatchedPair) -> None:
    first, second = with_collage_sources([SURE, unclear])
    assert first is SURE
    assert (second.original, second.copy) == (SECOND, COLLAGE)
    assert (second.origin, second.why) == (Origin(CLEAR_VOTE, WHY), WHY)
    assert (second.verdict.edits, second.back_edits) == ((PASTED,), ("cropped to 48 %",))
    assert (second.weight, second.back_weight) == (7, 5)


@pytest.mark.parametrize(
    ("certain", "unclear"),
    [
        (replace(SURE, origin=Origin(0.5, "larger file")), OPEN),
        (replace(SURE, verdict=replace(SURE.verdict, forward=0.1, backward=0.6)), OPEN),
        (replace(SURE, verdict=verdict(LEFT, "framed or padded")), OPEN),
        (replace(SURE, verdict=verdict(RIGHT, PASTED)), OPEN),
        (replace(SURE, copy=9), OPEN),
        (SURE, replace(OPEN, verdict=replace(OPEN.verdict, share_second=0.8))),
        (SURE, replace(OPEN, verdict=replace(OPEN.verdict, share_first=0.95))),
        (SURE, replace(OPEN, same_moment=True)),
    ],
    ids=[
        "its source is unclear",
        "its source is unsure",
        "it is framed",
        "both are in one place",
        "another picture",
        "it shows a part of it",
        "it is all of it",
        "shots of one moment",
    ],
)
def test_without_a_certain_collage_the_direction_stays_unclear(
    certain: MatchedPair, unclear: MatchedPair
) -> None:
    assert with_collage_sources([certain, unclear]) == [certain, unclear]
