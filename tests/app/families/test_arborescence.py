from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

from asl.app.families.arborescence import WeightedEdge, maximum_arborescence


def parents_of(count: int, edges: Sequence[WeightedEdge], chosen: Sequence[int | None]) -> bool:
    """Check that the chosen edges enter their nodes and form no circle."""
    for node in range(count):
        seen: set[int] = set()
        current = node
        while (row := chosen[current]) is not None:
            if current in seen or edges[row].end != current:
                return False
            seen.add(current)
            current = edges[row].start
    return True


def value(edges: Sequence[WeightedEdge], chosen: Sequence[int | None]) -> tuple[int, int]:
    """Fewest roots first, then the largest sum."""
    return (
        -sum(row is None for row in chosen),
        sum(edges[row].weight for row in chosen if row is not None),
    )


def exhaustive(count: int, edges: Sequence[WeightedEdge]) -> tuple[int, int]:
    choices = [[None, *(e.row for e in edges if e.end == node)] for node in range(count)]
    every = itertools.product(*choices)
    return max(value(edges, chosen) for chosen in every if parents_of(count, edges, chosen))


def random_graph(seed: int) -> tuple[int, list[WeightedEdge]]:
    rng = random.Random(seed)
    count = rng.randint(2, 6)
    return count, [
        WeightedEdge(*rng.sample(range(count), 2), rng.randint(-5, 9), row)
        for row in range(rng.randint(1, 12))
    ]


def test_it_is_as_good_as_trying_everything() -> None:
    for seed in range(500):
        count, edges = random_graph(seed)
        chosen = maximum_arborescence(count, edges)
        assert parents_of(count, edges, chosen), seed
        assert value(edges, chosen) == exhaustive(count, edges), seed


def test_a_circle_of_circles_is_opened_in_the_right_place() -> None:
    """Two circles that feed each other: one edge from outside breaks both."""
    pairs = [(0, 1, 9), (1, 0, 9), (2, 3, 9), (3, 2, 9), (1, 2, 8), (3, 0, 8), (4, 3, 1)]
    edges = [WeightedEdge(*pair, row) for row, pair in enumerate(pairs)]
    assert maximum_arborescence(5, edges) == [5, 0, 3, 6, None]


def test_of_equal_edges_the_earlier_one_wins() -> None:
    edges = [WeightedEdge(0, 1, 3, 7), WeightedEdge(0, 1, 3, 2), WeightedEdge(1, 0, 1, 5)]
    assert maximum_arborescence(2, edges) == [None, 7]


def test_nodes_without_edges_are_roots() -> None:
    assert maximum_arborescence(2, []) == [None, None]
    assert maximum_arborescence(0, []) == []
