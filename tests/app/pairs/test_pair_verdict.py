from __future__ import annotations

from asl.app.pairs.pair_verdict import SAME_FILE, SAME_PIXELS, PairVerdict, reworded

CUT = PairVerdict(
    0.99,
    0.02,
    ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)),
    ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8)),
    1.0,
    0.36,
    ("cropped to 36 %",),
    reason="all of the query matches 36 % of the reference",
    greyed=1,
    overlaid=-1,
    framed=1,
)


def test_words_are_swapped_at_once() -> None:
    assert (
        reworded("the query and the reference", query="reference", reference="query")
        == "the reference and the query"
    )


def test_a_verdict_is_read_back_as_it_was_written() -> None:
    for verdict in (CUT, SAME_FILE, SAME_PIXELS):
        assert PairVerdict.from_json(verdict.to_json()) == verdict


def test_a_flipped_verdict_exchanges_the_images() -> None:
    flipped = CUT.flipped()
    assert (flipped.forward, flipped.backward) == (0.02, 0.99)
    assert (flipped.greyed, flipped.overlaid, flipped.framed) == (-1, 1, -1)
    assert (flipped.share_first, flipped.share_second) == (0.36, 1.0)
    assert flipped.first_outline == CUT.second_outline
    assert flipped.reason == "all of the reference matches 36 % of the query"
    assert flipped.flipped() == CUT
    assert flipped.probability == CUT.probability
