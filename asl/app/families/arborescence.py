"""Maximum arborescence: the best incoming edge of every node, without a circle.

Edmonds 1967, in the form of Tarjan 1977: circles are contracted, and every contracted node keeps
its incoming edges in a mergeable heap, so that m edges take O(m log m) steps. ``families.js`` does
the same in the gallery; a test compares the two, and both with an exhaustive search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Weight of being a root, in the unit of the edges: below any sum of them, so that there are as few
# roots as the edges allow.
ROOT_WEIGHT = -(10**9)


@dataclass(frozen=True)
class WeightedEdge:
    """A directed edge.

    Attributes:
        start: number of the parent.
        end: number of the child.
        weight: higher is better; an integer, so that sums are exact in every language.
        row: of the caller.
    """

    start: int
    end: int
    weight: int
    row: int


class _Heap:
    """Node of a leftist heap of edges, the best on top; ``added`` waits for its whole subtree."""

    __slots__ = ("added", "edge", "left", "place", "rank", "right", "weight")

    def __init__(self, edge: WeightedEdge, place: int) -> None:
        self.edge = edge
        self.place = place  # decides between equal weights
        self.weight = edge.weight
        self.added = 0
        self.rank = 1
        self.left: _Heap | None = None
        self.right: _Heap | None = None

    def push_down(self) -> None:
        self.weight += self.added
        for child in (self.left, self.right):
            if child is not None:
                child.added += self.added
        self.added = 0

    def is_before(self, other: _Heap) -> bool:
        if self.weight != other.weight:
            return self.weight > other.weight
        return self.place < other.place


def _meld(first: _Heap | None, second: _Heap | None) -> _Heap | None:
    """Merge two heaps; the recursion follows right spines, which are short."""
    if first is None or second is None:
        return first or second
    first.push_down()
    second.push_down()
    if second.is_before(first):
        first, second = second, first
    first.right = _meld(first.right, second)
    if _rank(first.left) < _rank(first.right):
        first.left, first.right = first.right, first.left
    first.rank = _rank(first.right) + 1
    return first


def _rank(heap: _Heap | None) -> int:
    return heap.rank if heap is not None else 0


class _Contraction:
    """Graph in which circles become single nodes.

    Attributes:
        entering: best incoming edge of every node, by number.
        circle_of: node -> the contracted node that it became part of.
    """

    def __init__(self, count: int, edges: Sequence[WeightedEdge]) -> None:
        self.root = count
        self.entering: dict[int, WeightedEdge] = {}
        self.circle_of: dict[int, int] = {}
        self._next = count + 1
        self._top = list(range(count + 1))  # union-find over contracted nodes
        self._heaps: list[_Heap | None] = [None] * (count + 1)
        from_root = [WeightedEdge(count, node, ROOT_WEIGHT, -1) for node in range(count)]
        for place, edge in enumerate([*edges, *from_root]):
            self._heaps[edge.end] = _meld(self._heaps[edge.end], _Heap(edge, place))

    def top(self, node: int) -> int:
        """Return the contracted node that a node is part of now."""
        while self._top[node] != node:
            self._top[node] = self._top[self._top[node]]
            node = self._top[node]
        return node

    def enter(self, node: int) -> int:
        """Choose the best edge into a contracted node; return the node that it comes from."""
        while True:
            heap = self._heaps[node]
            if heap is None:
                raise AssertionError("every node has an edge from the root")
            heap.push_down()
            self._heaps[node] = _meld(heap.left, heap.right)
            start = self.top(heap.edge.start)
            if start != node:
                break
        self.entering[node] = heap.edge
        rest = self._heaps[node]
        if rest is not None:
            rest.added -= heap.weight  # what another edge would lose against this one
        return start

    def contract(self, circle: Sequence[int]) -> int:
        """Make a circle one node; return its number."""
        new = self._next
        self._next += 1
        self._top.append(new)
        heap: _Heap | None = None
        for node in circle:
            heap = _meld(heap, self._heaps[node])
            self._top[node] = new
            self.circle_of[node] = new
        self._heaps.append(heap)
        return new

    def expand(self) -> None:
        """Open the circles, the last first: one node keeps the edge from outside."""
        members: dict[int, list[int]] = {}
        for node, circle in self.circle_of.items():
            members.setdefault(circle, []).append(node)
        for circle in sorted(members, reverse=True):
            edge = self.entering[circle]
            node = edge.end
            while self.circle_of[node] != circle:
                node = self.circle_of[node]
            self.entering[node] = edge


def maximum_arborescence(count: int, edges: Sequence[WeightedEdge]) -> list[int | None]:
    """Choose an incoming edge for every node, so that no circle arises and the sum is largest.

    Args:
        count: number of nodes, ``0 .. count - 1``.
        edges: between them; several from one node to another are allowed.

    Returns:
        For every node the ``row`` of its edge; None for a root. There are as few roots as the
        edges allow; of equal weights the earlier edge wins.

    >>> maximum_arborescence(3, [WeightedEdge(0, 1, 5, 0), WeightedEdge(1, 0, 9, 1),
    ...                          WeightedEdge(1, 2, 3, 2)])
    [1, None, 2]
    """
    graph = _Contraction(count, edges)
    finished = {graph.root}
    for node in range(count):
        path: list[int] = []
        on_path: set[int] = set()
        current = graph.top(node)
        while current not in finished:
            path.append(current)
            on_path.add(current)
            start = graph.enter(current)
            if start in on_path:
                circle = [path.pop()]
                while circle[-1] != start:
                    circle.append(path.pop())
                on_path.difference_update(circle)
                finished.update(circle)
                start = graph.contract(circle)
            current = start
        finished.update(path)
    graph.expand()
    chosen = (graph.entering[node] for node in range(count))
    return [None if edge.start == graph.root else edge.row for edge in chosen]
