from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from asl.app.groups import Edge, missing_spokes, star_groups


def test_a_chain_is_not_one_group() -> None:
    """A -> B -> C where A and C do not match: C is listed with B, and never beside A."""
    groups = star_groups([Edge(0, 1, 0.9), Edge(1, 2, 0.8)])
    assert [(group.original, group.copies) for group in groups] == [(0, ((1, 0),)), (1, ((2, 1),))]


def test_copies_that_match_each_other_stay_with_their_original() -> None:
    groups = star_groups([Edge(1, 2, 0.99), Edge(0, 1, 0.7), Edge(0, 2, 0.6)])
    assert [(group.original, [copy for copy, _ in group.copies]) for group in groups] == [(0, [1, 2])]


def test_without_a_clear_direction_the_best_connected_image_leads() -> None:
    edges = [Edge(0, 1, 0.9, clear=False), Edge(0, 2, 0.9, clear=False), Edge(3, 0, 0.9, clear=False)]
    assert [(group.original, len(group.copies)) for group in star_groups(edges)] == [(0, 3)]


def test_fragments_of_a_group_are_to_be_compared() -> None:
    # 0 was compared with 1 and 2 only; 3 and 4 were found through 2.
    edges = [Edge(0, 1, 0.9), Edge(0, 2, 0.9), Edge(2, 3, 0.9), Edge(2, 4, 0.9)]
    assert missing_spokes(edges) == [(0, 3), (0, 4)]
    assert missing_spokes([Edge(0, 1, 0.9)]) == []
    assert missing_spokes([]) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 12), st.floats(0.5, 1), st.booleans()).filter(
            lambda edge: edge[0] != edge[1]
        ),
        unique_by=lambda edge: frozenset(edge[:2]),
    )
)
@settings(max_examples=200, deadline=None)
def test_every_pair_is_in_one_group_and_every_member_was_matched_with_the_original(
    raw: list[tuple[int, int, float, bool]],
) -> None:
    edges = [Edge(*edge) for edge in raw]
    groups = star_groups(edges)
    matched = {frozenset((edge.original, edge.copy)) for edge in edges}
    covered = set()
    for group in groups:
        members = [group.original, *(copy for copy, _ in group.copies)]
        assert len(set(members)) == len(members) >= 2
        for copy, row in group.copies:
            assert {edges[row].original, edges[row].copy} == {group.original, copy}
        covered |= {frozenset((a, b)) for a in members for b in members if a != b} & matched
    assert covered == matched, "no pair is lost"
    rows = [row for group in groups for _, row in group.copies]
    assert len(rows) == len(set(rows)), "no pair stands twice"


def test_the_order_of_the_pairs_does_not_matter() -> None:
    edges = [Edge(0, n, 0.9 - n / 100) for n in range(1, 6)] + [Edge(5, 6, 0.8), Edge(7, 8, 0.99)]
    expected = [(group.original, {copy for copy, _ in group.copies}) for group in star_groups(edges)]
    for seed in range(5):
        shuffled = random.Random(seed).sample(edges, len(edges))
        assert [(group.original, {copy for copy, _ in group.copies}) for group in star_groups(shuffled)] == expected
