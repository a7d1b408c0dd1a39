"""Group matching pairs into families: every member stands under its most probable parent.

Connected components would put unlike images together: A ~ B ~ C says nothing of A ~ C. In a tree
C stands under B and B under A, and each of the two lines is a pair that was compared. Pairs that
are much surer than the lines that join their images are listed beside the tree. ``families.js``
does the same in the gallery when the threshold moves; a test compares the two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from asl.app.families.arborescence import WeightedEdge, maximum_arborescence

Kind = Literal["copies", "same moment", "library matches"]

# A pair inside a family is listed beside the tree from this factor on the odds on.
SURER_ODDS = 4.0
MOST_PROBABILITY = 0.999  # above it no pair is surer than another


@dataclass(frozen=True)
class Edge:
    """A matching pair of images.

    Attributes:
        original: number of the image that is probably the original.
        copy: number of the other one.
        probability: 0..1 that one is a copy of the other.
        clear: True if the direction is clear; it is never turned then.
        weight: log-odds, in thousandths, that ``copy`` was made from ``original`` directly.
        back_weight: the same for the other direction.
        same_moment: two shots of one moment, no copies.
    """

    original: int
    copy: int
    probability: float
    clear: bool = True
    weight: int = 0
    back_weight: int = 0
    same_moment: bool = False


@dataclass(frozen=True)
class Member:
    """An image of a family.

    Attributes:
        image: its number.
        parent: number of the image that it stands under; None for the first of the family.
        row: of the pair (parent, image); None for the first.
        depth: 0 for the first, 1 for its copies, 2 for their copies ...
    """

    image: int
    parent: int | None = None
    row: int | None = None
    depth: int = 0


@dataclass(frozen=True)
class Family:
    """Images that belong together, as a tree.

    Attributes:
        members: every one after its parent; of copies depth first, the surest first among siblings.
        kind: ``copies``: a member was probably made from its parent. ``same moment``: shots of one
            burst, the sharpest first; none is a copy. ``library matches``: a new picture and below
            it its matches in the library, surest first.
        beside: rows of pairs that are much surer than the lines between their two images, or join
            a member with another family.
    """

    members: tuple[Member, ...]
    kind: Kind = "copies"
    beside: tuple[int, ...] = ()

    @property
    def original(self) -> int:
        """Number of the first image."""
        return self.members[0].image

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of the pairs that are the lines of the tree."""
        return tuple(member.row for member in self.members if member.row is not None)


def copy_families(edges: Sequence[Edge]) -> list[Family]:
    """Build the trees of copies; pairs of the same moment are left out.

    Returns:
        The families, the largest first. An image is in one family, a pair in one at most.

    >>> (family,) = copy_families([Edge(0, 1, 0.9, weight=50), Edge(1, 2, 0.8, weight=40)])
    >>> [(member.image, member.parent) for member in family.members]
    [(0, None), (1, 0), (2, 1)]
    """
    rows = [row for row, edge in enumerate(edges) if not edge.same_moment]
    parents = _choose_parents(edges, rows)
    families = _grow(edges, parents)
    beside = _stand_apart(edges, rows, {row for row in parents.values() if row is not None})
    family_of = {m.image: place for place, family in enumerate(families) for m in family}
    listed: dict[int, list[int]] = defaultdict(list)
    for row in beside:
        listed[family_of[edges[row].copy]].append(row)
    return sorted(
        (
            Family(tuple(members), "copies", tuple(listed[place]))
            for place, members in enumerate(families)
        ),
        key=lambda family: family_rank(edges, family),
    )


def moment_families(
    edges: Sequence[Edge],
    sharpness: Callable[[int], float],
    copies: Container[int] = frozenset(),
) -> list[Family]:
    """Group the shots of one moment; the sharpest stands first, each under one that it matches.

    Args:
        edges: matching pairs.
        sharpness: of an image, by number.
        copies: numbers of images that stand under another one; they are no shots.
    """
    rows = [
        row
        for row, edge in enumerate(edges)
        if edge.same_moment and edge.original not in copies and edge.copy not in copies
    ]
    neighbours: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row in rows:
        edge = edges[row]
        neighbours[edge.original].append((edge.copy, row))
        neighbours[edge.copy].append((edge.original, row))
    families = []
    placed: set[int] = set()
    for image in sorted(neighbours, key=lambda image: (-sharpness(image), image)):
        if image not in placed:
            members = _breadth_first(edges, neighbours, image)
            placed.update(member.image for member in members)
            families.append(Family(tuple(members), "same moment"))
    return sorted(families, key=lambda family: family_rank(edges, family))


def library_families(
    edges: Sequence[Edge], is_new: Callable[[int], bool], in_library: Callable[[int], bool]
) -> list[Family]:
    """List the library's matches of every new picture, surest first.

    Args:
        edges: matching pairs of a new picture and one of the library.
        is_new: True for the number of a new picture.
        in_library: True for the number of a picture of the library; one may be both.
    """
    matches: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row, edge in enumerate(edges):
        for new, other in ((edge.original, edge.copy), (edge.copy, edge.original)):
            if is_new(new) and in_library(other):
                matches[new].append((other, row))
    families = []
    for new, listed in matches.items():
        listed.sort(key=lambda match: (-edges[match[1]].probability, match))
        members = [Member(new), *(Member(other, new, row, 1) for other, row in listed)]
        families.append(Family(tuple(members), "library matches"))
    return sorted(families, key=lambda family: family_rank(edges, family))


def family_rank(edges: Sequence[Edge], family: Family) -> tuple[int, float, int]:
    """Sort key: most members first, then the surest pair, then the number of the first image."""
    surest = max((edges[row].probability for row in family.rows), default=1.0)
    return -len(family.members), -surest, family.original


def _choose_parents(edges: Sequence[Edge], rows: Sequence[int]) -> dict[int, int | None]:
    """Return image -> row of the pair with its parent; None for the first of a family."""
    images = sorted({image for row in rows for image in (edges[row].original, edges[row].copy)})
    place = {image: number for number, image in enumerate(images)}
    directed = []
    for row in rows:
        edge = edges[row]
        original, copy = place[edge.original], place[edge.copy]
        directed.append(WeightedEdge(original, copy, edge.weight, row))
        if not edge.clear:
            directed.append(WeightedEdge(copy, original, edge.back_weight, row))
    chosen = maximum_arborescence(len(images), directed)
    return dict(zip(images, chosen, strict=True))


def _other(edge: Edge, image: int) -> int:
    return edge.original if edge.copy == image else edge.copy


def _grow(edges: Sequence[Edge], parents: dict[int, int | None]) -> list[list[Member]]:
    """Walk the trees depth first, the surest pair first among siblings."""
    children: dict[int, list[tuple[float, int, int]]] = defaultdict(list)
    for image, row in parents.items():
        if row is not None:
            children[_other(edges[row], image)].append((edges[row].probability, -image, row))
    families = []
    for first, row in parents.items():
        if row is None:
            members: list[Member] = []
            waiting = [Member(first)]
            while waiting:
                member = waiting.pop()
                members.append(member)
                waiting += [
                    Member(-negative, member.image, child_row, member.depth + 1)
                    for _, negative, child_row in sorted(children[member.image])
                ]
            families.append(members)
    return families


def _odds_exceed(probability: float, other: float) -> bool:
    """Check that a pair is much surer than another."""
    p = min(probability, MOST_PROBABILITY)
    return p * (1.0 - other) > SURER_ODDS * other * (1.0 - p)


def _stand_apart(edges: Sequence[Edge], rows: Iterable[int], lines: set[int]) -> list[int]:
    """Return the pairs that no chain of lines of a comparable probability joins, surest first.

    The lines join images in the order of their probability (union-find); a pair stands apart where
    its images are not joined yet by all lines that are not much less sure.
    """
    joined = _Joined()
    by_probability = sorted(rows, key=lambda row: (-edges[row].probability, row))
    waiting: Iterator[int] = iter([row for row in by_probability if row in lines])
    line = next(waiting, None)
    apart = []
    for row in by_probability:
        edge = edges[row]
        while line is not None and not _odds_exceed(edge.probability, edges[line].probability):
            joined.join(edges[line].original, edges[line].copy)
            line = next(waiting, None)
        if row not in lines and not joined.are_joined(edge.original, edge.copy):
            apart.append(row)
    return apart


class _Joined:
    """Union-find over images."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def _root(self, node: int) -> int:
        self._parent.setdefault(node, node)
        while self._parent[node] != node:
            self._parent[node] = self._parent[self._parent[node]]
            node = self._parent[node]
        return node

    def join(self, first: int, second: int) -> None:
        self._parent[self._root(first)] = self._root(second)

    def are_joined(self, first: int, second: int) -> bool:
        return self._root(first) == self._root(second)


def _breadth_first(
    edges: Sequence[Edge], neighbours: dict[int, list[tuple[int, int]]], first: int
) -> list[Member]:
    """Walk a component breadth first; an image stands under the one that it matches best."""
    members = [Member(first)]
    placed = {first}
    level = [members[0]]
    while level:
        best: dict[int, tuple[float, Member, int]] = {}
        for member in level:
            for other, row in neighbours[member.image]:
                probability = edges[row].probability
                if other not in placed and probability > best.get(other, (-1.0,))[0]:
                    best[other] = (probability, member, row)
        level = [
            Member(other, member.image, row, member.depth + 1)
            for other, (_, member, row) in sorted(
                best.items(), key=lambda item: (-item[1][0], item[0])
            )
        ]
        placed.update(member.image for member in level)
        members += level
    return members


def unmatched_relatives(edges: Sequence[Edge], *, most: int) -> list[tuple[int, int]]:
    """List pairs of images that share a matching image and were not matched with each other.

    Which of its relatives an image was made from shows only where it was compared with all of
    them; an original with more copies than candidates is linked to some through other copies only.

    Args:
        edges: matching pairs.
        most: pairs per image, those with the surest shared image first.
    """
    near: dict[int, dict[int, float]] = defaultdict(dict)
    for edge in edges:
        near[edge.original][edge.copy] = edge.probability
        near[edge.copy][edge.original] = edge.probability
    pairs: set[tuple[int, int]] = set()
    for image, own in near.items():
        shared: dict[int, float] = {}
        for other in sorted(own, key=lambda other: (-own[other], other))[: 2 * most]:
            for third, probability in near[other].items():
                if third != image and third not in own:
                    both = own[other] * probability
                    shared[third] = max(shared.get(third, 0.0), both)
        best = sorted(shared, key=lambda third: (-shared[third], third))[:most]
        pairs.update((min(image, third), max(image, third)) for third in best)
    return sorted(pairs)
