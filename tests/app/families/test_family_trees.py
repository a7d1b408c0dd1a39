from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl.app.families.family_trees import (
    MOST_PROBABILITY,
    SURER_ODDS,
    Edge,
    Family,
    copy_families,
    library_families,
    moment_families,
    unmatched_relatives,
)
from asl.app.scanning import scan_gallery


def tree(family: Family) -> dict[int, int | None]:
    return {member.image: member.parent for member in family.members}


def test_a_copy_of_a_copy_stands_under_the_copy() -> None:
    """0 -> 1 -> 2, and 2 matches 0, too, but less well."""
    (family,) = copy_families(
        [
            Edge(0, 1, 0.98, weight=4000),
            Edge(1, 2, 0.99, weight=5000),
            Edge(0, 2, 0.97, weight=3000),
        ]
    )
    assert tree(family) == {0: None, 1: 0, 2: 1}
    assert [member.depth for member in family.members] == [0, 1, 2]
    assert family.beside == ()


def test_a_copy_of_one_frame_stands_with_that_frame() -> None:
    """Frames 0 to 4 of a burst match each other somewhat; 5 is a copy of 2 and resembles all."""
    pairs = [(a, b) for a in range(5) for b in range(a + 1, 5)]
    burst = [Edge(a, b, 0.9 if b == 4 else 0.8, clear=False) for a, b in pairs]
    copies = [Edge(frame, 5, 0.95, weight=3000) for frame in (0, 1, 3, 4)]
    (family,) = copy_families([*burst, *copies, Edge(2, 5, 0.998, weight=6000)])
    assert tree(family)[5] == 2


def test_a_clear_direction_is_never_turned() -> None:
    """Two originals in one collage: neither was made from it, so each has a family of its own."""
    families = copy_families([Edge(0, 2, 0.99, weight=5000), Edge(1, 2, 0.98, weight=4000)])
    assert [tree(family) for family in families] == [{0: None, 2: 0}, {1: None}]
    assert families[0].beside == (1,), "the other source of the collage is not hidden"
    (family,) = copy_families([Edge(0, 1, 0.9, False, 10, 20), Edge(2, 1, 0.9, True, 50)])
    assert tree(family) == {2: None, 1: 2, 0: 1}, "an unclear one is turned where it fits better"


def test_a_pair_much_surer_than_the_lines_is_listed_beside_them() -> None:
    """Siblings that match each other far better than their original."""
    lines = [Edge(0, 1, 0.95, weight=9000), Edge(0, 2, 0.95, weight=9000)]
    (family,) = copy_families([*lines, Edge(1, 2, 0.998, False, 1000, 1000)])
    assert family.beside == (2,)
    (family,) = copy_families([*lines, Edge(1, 2, 0.97, False, 1000, 1000)])
    assert family.beside == ()


def test_shots_of_one_moment_are_a_group_of_their_own() -> None:
    moments = [Edge(a, b, 0.9, False, 0, 0, True) for a, b in ((0, 1), (1, 2), (0, 2), (2, 3))]
    edges = [*moments, Edge(2, 4, 0.99, weight=5000)]
    (copies,) = copy_families(edges)
    assert tree(copies) == {2: None, 4: 2}
    (burst,) = moment_families(edges, lambda image: 9.0 if image == 1 else image / 10)
    assert burst.kind == "same moment"
    assert burst.original == 1, "the sharpest"
    assert tree(burst) == {1: None, 0: 1, 2: 1, 3: 2}
    (burst,) = moment_families(edges, lambda image: 9.0 if image == 1 else image / 10, {2})
    assert tree(burst) == {1: None, 0: 1}, "a copy is no shot"


def test_every_new_picture_has_the_library_s_matches_below_it() -> None:
    """0 and 1 are new, 2 and 3 the library's; 1 is in both."""
    edges = [Edge(2, 0, 0.9), Edge(0, 3, 0.99), Edge(1, 0, 0.95)]
    families = library_families(edges, lambda image: image < 2, lambda image: image > 0)
    assert [[member.image for member in family.members] for family in families] == [[0, 3, 1, 2]]
    assert [family.rows for family in families] == [(1, 2, 0)]


def test_relatives_that_were_not_compared_are_listed() -> None:
    edges = [Edge(0, 1, 0.9), Edge(0, 2, 0.9), Edge(2, 3, 0.9), Edge(2, 4, 0.8)]
    assert unmatched_relatives(edges, most=9) == [(0, 3), (0, 4), (1, 2), (3, 4)]
    assert unmatched_relatives(edges, most=1) == [(0, 3), (0, 4), (1, 2)]
    assert unmatched_relatives([Edge(0, 1, 0.9)], most=9) == []


def random_edges(seed: int) -> list[Edge]:
    """Few values and few images make many ties; probabilities have six digits, like verdicts."""
    rng = random.Random(seed)
    nodes = rng.randrange(2, 14)
    ends = {frozenset(rng.sample(range(nodes), 2)): None for _ in range(rng.randrange(1, 40))}
    return [
        Edge(
            *rng.sample(sorted(end), 2),
            rng.choice([0.6, 0.7, 0.8, round(rng.random(), 6)]),
            rng.random() < 0.7,
            rng.choice([0, 1000, rng.randrange(-4000, 9000)]),
            rng.choice([0, 1000, rng.randrange(-4000, 9000)]),
            rng.random() < 0.2,
        )
        for end in ends
    ]


def odds(probability: float) -> float:
    p = min(probability, MOST_PROBABILITY)
    return p / (1 - p)


def weakest_line(edges: Sequence[Edge], families: Sequence[Family], row: int) -> float | None:
    """Lowest probability on the way between a pair's images in their tree; None without one."""
    for family in families:
        parents = {member.image: member for member in family.members}
        ends = edges[row].original, edges[row].copy
        if not set(ends) <= parents.keys():
            continue
        ways = []
        for end in ends:
            way = [(end, 1.0)]
            member = parents[end]
            while member.parent is not None and member.row is not None:
                way.append((member.parent, min(way[-1][1], edges[member.row].probability)))
                member = parents[member.parent]
            ways.append(dict(way))
        return max(min(ways[0][node], ways[1][node]) for node in ways[0].keys() & ways[1].keys())
    return None


@given(st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_no_pair_is_lost_and_none_much_surer_is_hidden(seed: int) -> None:
    edges = random_edges(seed)
    families = copy_families(edges)
    images = [member.image for family in families for member in family.members]
    assert len(images) == len(set(images)), "an image is in one tree"
    rows = {row for row, edge in enumerate(edges) if not edge.same_moment}
    assert set(images) == {i for row in rows for i in (edges[row].original, edges[row].copy)}
    for family in families:
        seen: set[int | None] = {None}
        for member in family.members:
            assert member.parent in seen, "after its parent"
            seen.add(member.image)
            if member.row is not None:
                edge = edges[member.row]
                assert {edge.original, edge.copy} == {member.image, member.parent}
                assert not edge.clear or edge.copy == member.image
    lines = {row for family in families for row in family.rows}
    beside = {row for family in families for row in family.beside}
    assert not lines & beside
    for row in rows - lines:
        weakest = weakest_line(edges, families, row)
        apart = weakest is None or odds(edges[row].probability) > SURER_ODDS * (
            weakest / (1 - weakest) if weakest < 1 else float("inf")
        )
        assert apart == (row in beside), row


def test_the_order_of_the_pairs_does_not_matter() -> None:
    edges = [Edge(0, n, 0.9 - n / 100, weight=900 - n) for n in range(1, 6)]
    edges += [Edge(5, 6, 0.8, weight=70), Edge(7, 8, 0.99, weight=80)]
    expected = [tree(family) for family in copy_families(edges)]
    for seed in range(5):
        shuffled = random.Random(seed).sample(edges, len(edges))
        assert [tree(family) for family in copy_families(shuffled)] == expected


def in_script(family: Family) -> dict[str, Any]:
    """A family as the script of the page has it."""
    members = [
        {"image": m.image, "parent": m.parent, "row": m.row, "depth": m.depth}
        for m in family.members
    ]
    return {"kind": family.kind, "members": members, "beside": list(family.beside)}


def pair_in_page(edge: Edge) -> dict[str, Any]:
    return {
        "original": edge.original,
        "copy": edge.copy,
        "p": edge.probability,
        "clear": edge.clear,
        "weight": edge.weight,
        "back": edge.back_weight,
        "moment": edge.same_moment,
    }


@pytest.mark.skipif(not shutil.which("node"), reason="no node on this machine")
def test_the_script_of_the_gallery_groups_alike(tmp_path: Path) -> None:
    cases = [random_edges(seed) for seed in range(200)]
    listed = [[pair_in_page(edge) for edge in edges] for edges in cases]
    script = Path(scan_gallery.__file__).with_name("page") / "families.js"
    run = (
        f"{script.read_text(encoding='utf-8')}\nconst cases = {json.dumps(listed)};\n"
        "const all = pairs => pairs.map((_, row) => row);\n"
        "console.log(JSON.stringify(cases.map(pairs => [copyFamilies(pairs, all(pairs)),\n"
        "  momentFamilies(pairs, all(pairs), image => image % 3, new Set([2, 5])),\n"
        "  libraryFamilies(pairs, all(pairs), image => image < 7, image => image > 4)])));"
    )
    (tmp_path / "run.js").write_text(run, encoding="utf-8")
    done = subprocess.run(
        ["node", str(tmp_path / "run.js")], capture_output=True, text=True, check=True
    )
    expected = [
        [
            list(map(in_script, copy_families(edges))),
            list(map(in_script, moment_families(edges, lambda image: image % 3, {2, 5}))),
            list(map(in_script, library_families(edges, lambda i: i < 7, lambda i: i > 4))),
        ]
        for edges in cases
    ]
    assert json.loads(done.stdout) == expected


def test_a_long_chain_takes_no_more_steps_a_pair_than_a_short_one() -> None:
    """Count executed lines, not seconds: the machine may be busy. Quadratic would be 8 times."""

    def lines(pairs: int) -> int:
        count = 0

        def trace(*_: object) -> object:
            nonlocal count
            count += 1
            return trace

        edges = [Edge(n, n + 1, 0.9, False, n % 7, n % 5) for n in range(pairs)]
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            copy_families(edges)
        finally:
            sys.settrace(before)
        return count

    assert lines(1600) < 2 * 8 * lines(200)
