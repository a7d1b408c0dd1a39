"""Groups of copies that do not chain: every member was matched with the group's original itself.

Joining everything that is linked somehow (connected components) puts unlike images together: A ~ B
~ C says nothing of A ~ C. Here a group is a star: an original and the images that match it
directly. A copy of a copy that does not match the original any more opens a group of its own, in
which its source is the original. The gallery's page does the same in JavaScript when its threshold
is moved; a test holds the two together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush


@dataclass(frozen=True)
class Edge:
    """A matching pair.

    Attributes:
        original: number of the image that is probably the original.
        copy: number of the other one.
        probability: 0..1, that one was made from the other.
        clear: whether the direction is clear.
    """

    original: int
    copy: int
    probability: float
    clear: bool = True


@dataclass(frozen=True)
class Group:
    """An original and what was made from it.

    Attributes:
        original: number of an image.
        copies: (image, row of the edge to the original), surest first.
    """

    original: int
    copies: tuple[tuple[int, int], ...]


def star_groups(edges: Sequence[Edge]) -> list[Group]:
    """Cover every edge by stars; larger and surer groups first. An image may be in two groups, a pair in one."""
    groups = [group for part in _components(edges) for group in _stars(edges, part)]
    surest = {id(group): max(edges[row].probability for _, row in group.copies) for group in groups}
    return sorted(
        groups, key=lambda group: (-len(group.copies), -surest[id(group)], group.original)
    )


def _components(edges: Sequence[Edge]) -> Iterable[list[int]]:
    """Rows of the edges of every connected component."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for edge in edges:
        parent[root(edge.original)] = root(edge.copy)
    parts: dict[int, list[int]] = defaultdict(list)
    for row, edge in enumerate(edges):
        parts[root(edge.original)].append(row)
    return parts.values()


def missing_spokes(edges: Sequence[Edge]) -> list[tuple[int, int]]:
    """(centre, image) pairs that would let fragments of a group meet.

    An original with more copies than candidates were fetched is linked to some of them through
    other copies only. The centre of a component's first star is worth comparing with every image of
    the component outside that star.
    """
    found = []
    for part in _components(edges):
        first = next(_stars(edges, part))
        near = {first.original, *(copy for copy, _ in first.copies)}
        nodes = {node for row in part for node in (edges[row].original, edges[row].copy)}
        found += [(first.original, node) for node in sorted(nodes - near)]
    return found


class _Spokes:
    """The pairs of a component that no star covers yet, counted per image; a star changes only its members' counts."""

    def __init__(self, edges: Sequence[Edge], rows: Sequence[int]) -> None:
        self._edges = edges
        self._copied: dict[int, int] = defaultdict(int)
        self._degree: dict[int, int] = defaultdict(int)
        self._weight: dict[int, int] = defaultdict(
            int
        )  # in millionths: what was added can be taken away exactly
        self._near: dict[int, dict[int, list[int]]] = defaultdict(dict)
        for row in rows:
            for node, other in self._count(row, 1):
                self._near[node].setdefault(other, []).append(row)
        self._heap = [self._rank(node) for node in self._degree]
        heapify(self._heap)

    def _count(self, row: int, sign: int) -> tuple[tuple[int, int], tuple[int, int]]:
        edge = self._edges[row]
        self._copied[edge.copy] += sign * edge.clear
        for node in (edge.original, edge.copy):
            self._degree[node] += sign
            self._weight[node] += sign * round(1e6 * edge.probability)
        return (edge.original, edge.copy), (edge.copy, edge.original)

    def _rank(self, node: int) -> tuple[bool, int, int, int]:
        """The least one leads: nobody's copy, as far as that is clear, with the most, surest matches."""
        return self._copied[node] > 0, -self._degree[node], -self._weight[node], node

    def centre(self) -> int | None:
        """The image that leads the next star; None where every pair is covered."""
        while self._heap:
            rank = heappop(self._heap)
            if rank[1] and rank == self._rank(
                rank[3]
            ):  # else a count has changed since, and another entry says how
                return rank[3]
        return None

    def of(self, centre: int) -> list[tuple[int, int]]:
        """(image, row) of a centre's pairs, surest first."""
        pairs = [(other, row) for other, rows in self._near[centre].items() for row in rows]
        return sorted(pairs, key=lambda pair: (-self._edges[pair[1]].probability, *pair))

    def cover(self, members: set[int]) -> None:
        """Take away all pairs inside a star."""
        for node in members:
            near = self._near[node]
            # By the shorter of both: an image with many matches may be in many small stars.
            inside = (
                [n for n in near if n in members]
                if len(near) < len(members)
                else [n for n in members if n in near]
            )
            for other in inside:
                for row in near.pop(other):
                    self._count(row, -1)
                del self._near[other][node]
        for node in members:
            heappush(self._heap, self._rank(node))


def _stars(edges: Sequence[Edge], rows: Sequence[int]) -> Iterator[Group]:
    left = _Spokes(edges, rows)
    while (centre := left.centre()) is not None:
        spokes = left.of(centre)
        # Pairs inside the group need no group of their own.
        left.cover({centre, *(copy for copy, _ in spokes)})
        yield Group(centre, tuple(spokes))
