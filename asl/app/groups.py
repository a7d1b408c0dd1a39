"""Groups of copies that do not chain: every member was matched with the group's original itself.

Joining everything that is linked somehow (connected components) puts unlike images together: A ~ B ~ C says nothing of
A ~ C. Here a group is a star: an original and the images that match it directly. A copy of a copy that does not match
the original any more opens a group of its own, in which its source is the original. The gallery's page does the same
in JavaScript when its threshold is moved; a test holds the two together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


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
    return sorted(groups, key=lambda group: (-len(group.copies), -surest[id(group)], group.original))


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

    An original with more copies than candidates were fetched is linked to some of them through other copies only. The
    centre of a component's first star is worth comparing with every image of the component outside that star.
    """
    found = []
    for part in _components(edges):
        first = next(iter(_stars(edges, part)))
        near = {first.original, *(copy for copy, _ in first.copies)}
        nodes = {node for row in part for node in (edges[row].original, edges[row].copy)}
        found += [(first.original, node) for node in sorted(nodes - near)]
    return found


def _stars(edges: Sequence[Edge], rows: list[int]) -> Iterable[Group]:
    left = rows
    while left:
        centre = _centre(edges, left)
        spokes = [row for row in left if centre in (edges[row].original, edges[row].copy)]
        spokes.sort(key=lambda row: (-edges[row].probability, _other(edges[row], centre)))
        members = {centre, *(_other(edges[row], centre) for row in spokes)}
        yield Group(centre, tuple((_other(edges[row], centre), row) for row in spokes))
        # Pairs inside the group need no group of their own.
        left = [row for row in left if not {edges[row].original, edges[row].copy} <= members]


def _other(edge: Edge, node: int) -> int:
    return edge.copy if edge.original == node else edge.original


def _centre(edges: Sequence[Edge], rows: Sequence[int]) -> int:
    """The image that is nobody's copy, as far as that is clear, and has the most, surest matches."""
    copied: dict[int, int] = defaultdict(int)
    degree: dict[int, int] = defaultdict(int)
    weight: dict[int, float] = defaultdict(float)
    for row in rows:
        edge = edges[row]
        copied[edge.copy] += edge.clear
        for node in (edge.original, edge.copy):
            degree[node] += 1
            weight[node] += edge.probability
    return min(degree, key=lambda node: (copied[node] > 0, -degree[node], -round(weight[node], 6), node))
