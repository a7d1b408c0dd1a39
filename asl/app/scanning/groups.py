"""Group matching pairs into stars: every member matches the original of its group directly.

Connected components would put unlike images together: A ~ B ~ C says nothing of A ~ C. A copy of a
copy that does not match the original any more opens a group of its own, in which its source is the
original; so does a pair that is much surer than those that join its images to the original.
``groups.js`` does the same in the gallery when the threshold moves; a test compares the
two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

# A pair inside a group is listed apart from this factor on the odds on: a frame of a burst matches
# the copy of the next frame, too, but far less surely.
_SURER_ODDS = 4.0
_MOST_PROBABILITY = 0.999  # above it no pair is surer than another


@dataclass(frozen=True)
class Edge:
    """A matching pair.

    Attributes:
        original: number of the image that is probably the original.
        copy: number of the other one.
        probability: 0..1 that one is a copy of the other.
        clear: True if the direction is clear.
    """

    original: int
    copy: int
    probability: float
    clear: bool = True


@dataclass(frozen=True)
class Group:
    """An original and its copies.

    Attributes:
        original: number of an image.
        copies: (image, row of the edge to the original), surest first.
    """

    original: int
    copies: tuple[tuple[int, int], ...]


def star_groups(edges: Sequence[Edge]) -> list[Group]:
    """Cover every edge by stars, larger and surer groups first.

    An image may be in two groups, a pair only in one.

    >>> (group,) = star_groups([Edge(0, 1, 0.9), Edge(0, 2, 0.8)])
    >>> group.original, group.copies
    (0, ((1, 0), (2, 1)))
    """
    groups = [group for component in _components(edges) for group in _stars(edges, component)]
    surest = {id(group): max(edges[row].probability for _, row in group.copies) for group in groups}
    return sorted(
        groups, key=lambda group: (-len(group.copies), -surest[id(group)], group.original)
    )


def _components(edges: Sequence[Edge]) -> Iterable[list[int]]:
    """Return the rows of the edges of every connected component (union-find)."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for edge in edges:
        parent[root(edge.original)] = root(edge.copy)
    components: dict[int, list[int]] = defaultdict(list)
    for row, edge in enumerate(edges):
        components[root(edge.original)].append(row)
    return components.values()


def missing_spokes(edges: Sequence[Edge]) -> list[tuple[int, int]]:
    """List (centre, image) pairs whose comparison may join the fragments of a group.

    An original with more copies than candidates were retrieved is linked to some of them through
    other copies only. The centre of a component's first star is compared with every image of the
    component outside that star.
    """
    pairs = []
    for component in _components(edges):
        first = next(_stars(edges, component))
        members = {first.original, *(copy for copy, _ in first.copies)}
        nodes = {node for row in component for node in (edges[row].original, edges[row].copy)}
        pairs += [(first.original, node) for node in sorted(nodes - members)]
    return pairs


class _Spokes:
    """Pairs of a component that no star covers yet, counted per image.

    A star changes only the counts of its members, so that a component takes n log n steps.
    """

    def __init__(self, edges: Sequence[Edge], rows: Sequence[int]) -> None:
        self._edges = edges
        self._copied: dict[int, int] = defaultdict(int)
        self._degree: dict[int, int] = defaultdict(int)
        # In millionths: sums of integers can be undone exactly.
        self._weight: dict[int, int] = defaultdict(int)
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
        """Rank a centre, the smallest first: no clear copy, most matches, surest matches."""
        return self._copied[node] > 0, -self._degree[node], -self._weight[node], node

    def centre(self) -> int | None:
        """Return the centre of the next star; None if every pair is covered."""
        while self._heap:
            rank = heappop(self._heap)
            # An outdated entry is skipped: the changed count has pushed another one.
            if rank[1] and rank == self._rank(rank[3]):
                return rank[3]
        return None

    def of(self, centre: int) -> list[tuple[int, int]]:
        """Return (image, row) of a centre's pairs, surest first."""
        pairs = [(other, row) for other, rows in self._near[centre].items() for row in rows]
        return sorted(pairs, key=lambda pair: (-self._edges[pair[1]].probability, *pair))

    def cover(self, centre: int, spokes: Sequence[tuple[int, int]]) -> None:
        """Remove the pairs inside a star; those much surer than its spokes remain."""
        surest = {centre: 1.0}
        for node, row in reversed(spokes):  # the surest comes last
            surest[node] = self._edges[row].probability
        members = surest.keys()
        for node in members:
            near = self._near[node]
            # Iterate over the shorter: an image with many matches may be in many small stars.
            if len(near) < len(members):
                inside = [other for other in near if other in members]
            else:
                inside = [other for other in members if other in near]
            for other in inside:
                if any(self._stands_apart(row, surest) for row in near[other]):
                    continue
                for row in near.pop(other):
                    self._count(row, -1)
                del self._near[other][node]
        for node in members:
            heappush(self._heap, self._rank(node))

    def _stands_apart(self, row: int, surest: Mapping[int, float]) -> bool:
        """Check that a pair is much surer than what joins its images to the centre.

        Where its direction is clear, the copy alone decides: it belongs to its best original.
        """
        edge = self._edges[row]
        joined = surest[edge.copy]
        if not edge.clear:
            joined = max(joined, surest[edge.original])
        p = min(edge.probability, _MOST_PROBABILITY)
        return p * (1.0 - joined) > _SURER_ODDS * joined * (1.0 - p)


def _stars(edges: Sequence[Edge], rows: Sequence[int]) -> Iterator[Group]:
    uncovered = _Spokes(edges, rows)
    while (centre := uncovered.centre()) is not None:
        spokes = uncovered.of(centre)
        # Pairs inside the group need no group of their own, unless they are much surer.
        uncovered.cover(centre, spokes)
        yield Group(centre, tuple(spokes))
