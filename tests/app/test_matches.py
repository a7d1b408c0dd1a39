"""Answers of a detector: frozen, whole, equal by value."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from asl.app.matches import Added, Match

MATCH = Match(
    reference="r",
    probability=0.9,
    accepted=True,
    direction="reference->query",
    score=0.4,
    cosine=0.5,
    query_log_norm=0.1,
    reference_log_norm=0.2,
    why="cropped",
    reason="all of the query matches",
    edits=("cropped to 36 %",),
    query_outline=(),
    reference_outline=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)),
)


def test_answers_cannot_be_changed_and_are_equal_by_value() -> None:
    assert replace(MATCH) == MATCH
    assert replace(MATCH, probability=0.8) != MATCH
    assert len({MATCH, replace(MATCH), replace(MATCH, reference="s")}) == 2
    for value, name in ((MATCH, "accepted"), (Added((), (), ()), "added")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, True)


def test_a_match_has_every_field_or_is_an_error() -> None:
    with pytest.raises(TypeError, match="reference_outline"):
        Match(**{f.name: None for f in fields(Match) if f.name != "reference_outline"})


def test_adding_replaces_nothing_unless_it_says_so() -> None:
    assert Added(("a",), (), ()).replaced == ()
    assert Added(("a",), (), (), ("a",)).replaced == ("a",)
