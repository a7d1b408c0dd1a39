"""What a copy cannot win back decides under which picture it stands."""

from __future__ import annotations

import pytest

from asl.app.families.certain_loss import LOSS, without_certain_losses
from asl.app.families.parentage import Relation
from asl.app.library.facts import Facts
from asl.app.pairs.pair_verdict import PairVerdict

PLAIN = PairVerdict(0.9, 0.9)
JPEG = Facts(100, 80, 5000, "JPEG", checksum=7)
PNG = Facts(100, 80, 19000, "PNG", checksum=7)
COPY = Facts(60, 50, 1200, "JPEG", checksum=8)


@pytest.mark.parametrize(("greyed", "loses"), [(1, (LOSS, 0)), (-1, (0, LOSS)), (0, (0, 0))])
def test_no_picture_with_colours_was_made_from_a_grey_one(
    greyed: int, loses: tuple[float, float]
) -> None:
    pair = Relation(0, 1, PairVerdict(0.9, 0.9, greyed=greyed), None)
    (weights,) = without_certain_losses([pair], [COPY, COPY], [(1.0, 2.0)])
    assert weights == (1.0 - loses[0], 2.0 - loses[1])


@pytest.mark.parametrize("swapped", [False, True])
def test_a_copy_stands_under_the_jpeg_and_not_under_a_lossless_file_of_it(swapped: bool) -> None:
    facts = [PNG, JPEG, COPY] if swapped else [JPEG, PNG, COPY]
    pairs = [Relation(*ends, PLAIN, None) for ends in ((0, 1), (0, 2), (1, 2))]
    twins, *copies = without_certain_losses(pairs, facts, [(0.0, 0.0), (1.0, -3.0), (1.0, -3.0)])
    of_jpeg, of_png = copies[::-1] if swapped else copies
    assert of_png == (1.0, -3.0)
    assert of_jpeg[0] > of_png[0]
    assert of_jpeg[1] == -3.0
    assert twins == ((-LOSS, 0.0) if swapped else (0.0, -LOSS))


def test_other_pictures_keep_their_weights() -> None:
    facts = [JPEG, Facts(100, 80, 19000, "PNG", checksum=9), COPY]
    pairs = [Relation(*ends, PLAIN, None) for ends in ((0, 1), (0, 2), (1, 2))]
    weights = [(0.5, 0.1), (1.0, -3.0), (2.0, -3.0)]
    assert without_certain_losses(pairs, facts, weights) == weights
