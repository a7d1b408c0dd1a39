"""Who of a pair is nearer to the rest of the family."""

from __future__ import annotations

import numpy as np
import pytest

from asl.app.families.family_context import (
    CONTEXT_CUES,
    MOST_THIRD,
    DirectedLink,
    context_cues,
)

Pairs = list[tuple[int, int, DirectedLink]]


def both(first: int, second: int, made: float, difference: float | None = None) -> Pairs:
    """A pair in both directions; ``made``: log-odds that the second is a copy of the first."""
    link = DirectedLink(made, -made / 2, 1.0, 0.5, difference)
    return [(first, second, link), (second, first, link.flipped())]


def row(pairs: Pairs, parent: int, child: int) -> dict[str, float]:
    place = [pair[:2] for pair in pairs].index((parent, child))
    return dict(zip(CONTEXT_CUES, context_cues(pairs)[place].tolist(), strict=True))


def test_a_parent_is_nearer_to_third_pictures_than_its_child() -> None:
    """0 was copied to 1 and 2; 1 and 2 are siblings that match less."""
    pairs = [*both(0, 1, 6.0, 2.0), *both(0, 2, 5.0, 3.0), *both(1, 2, 1.0, 9.0)]
    down, across, up = row(pairs, 0, 1), row(pairs, 1, 2), row(pairs, 1, 0)
    assert down["nearer"] == pytest.approx(4.0)
    assert down["nearer_least"] == pytest.approx(4.0)
    assert down["liker"] == pytest.approx(6.0)
    assert down["lead"] > 0 > up["lead"]
    assert down["made_of_parent"] > 0
    assert (up["nearer"], up["liker"]) == (-down["nearer"], -down["liker"])
    assert across["nearer"] < down["nearer"]


def test_pairs_that_are_no_copies_and_lone_pairs_say_nothing_of_third_ones() -> None:
    lone = both(0, 1, 4.0)
    no_copy = DirectedLink(-3.0, -5.0, 0.2, 0.2, 1.0)
    with_a_stranger = [*lone, (1, 2, no_copy), (2, 1, no_copy.flipped())]
    assert row(lone, 0, 1) == row(with_a_stranger, 0, 1)
    assert row(lone, 0, 1)["nearer"] == 0
    assert context_cues([]).shape == (0, len(CONTEXT_CUES))


def test_only_the_surest_pairs_of_a_picture_are_looked_at() -> None:
    many = [pair for other in range(1, 200) for pair in both(0, other, 1.0 + other)]
    cues = context_cues(many)
    assert np.isfinite(cues).all()
    assert row(many, 0, 1)["matches_parent"] == MOST_THIRD
