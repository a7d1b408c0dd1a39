from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl.app.scanning import groups
from asl.app.scanning.groups import Edge, Group, missing_spokes, star_groups


def test_a_chain_is_not_one_group() -> None:
    """A -> B -> C where A and C do not match: C is listed with B, and never beside A."""
    groups = star_groups([Edge(0, 1, 0.9), Edge(1, 2, 0.8)])
    assert [(group.original, group.copies) for group in groups] == [(0, ((1, 0),)), (1, ((2, 1),))]


def test_copies_that_match_each_other_stay_with_their_original() -> None:
    groups = star_groups([Edge(1, 2, 0.8), Edge(0, 1, 0.7), Edge(0, 2, 0.6)])
    assert [(group.original, [copy for copy, _ in group.copies]) for group in groups] == [
        (0, [1, 2])
    ]


def test_a_copy_of_one_frame_stands_with_that_frame() -> None:
    """Frames 0 to 4 of a burst match each other somewhat; 5 is a copy of 2 and resembles all."""
    pairs = [(a, b) for a in range(5) for b in range(a + 1, 5)]
    burst = [Edge(a, b, 0.9 if b == 4 else 0.8, clear=False) for a, b in pairs]
    copies = [Edge(frame, 5, 0.95) for frame in (0, 1, 3, 4)]
    groups = star_groups([*burst, *copies, Edge(2, 5, 0.998)])
    assert [group.original for group in groups] == [4, 2]
    assert groups[1] == Group(2, ((5, len(burst) + 4),))


def test_no_pair_without_direction_hides_behind_less_sure_ones() -> None:
    spokes = [Edge(0, 1, 0.7, clear=False), Edge(0, 2, 0.7, clear=False), Edge(0, 3, 0.7)]
    shown = star_groups([*spokes, Edge(1, 2, 0.99, clear=False)])
    assert [(group.original, group.copies) for group in shown][1:] == [(1, ((2, 3),))]
    assert len(star_groups([*spokes, Edge(1, 2, 0.85, clear=False)])) == 1


def test_without_a_clear_direction_the_best_connected_image_leads() -> None:
    edges = [
        Edge(0, 1, 0.9, clear=False),
        Edge(0, 2, 0.9, clear=False),
        Edge(3, 0, 0.9, clear=False),
    ]
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
    expected = [
        (group.original, {copy for copy, _ in group.copies}) for group in star_groups(edges)
    ]
    for seed in range(5):
        shuffled = random.Random(seed).sample(edges, len(edges))
        assert [
            (group.original, {copy for copy, _ in group.copies}) for group in star_groups(shuffled)
        ] == expected


def counted_anew(edges: Sequence[Edge]) -> list[Group]:
    """Stars by counting everything again for each of them: slow and plain, without components."""

    def other(row: int, node: int) -> int:
        return edges[row].copy if edges[row].original == node else edges[row].original

    def centre(rows: list[int]) -> int:
        copied: dict[int, int] = defaultdict(int)
        degree: dict[int, int] = defaultdict(int)
        weight: dict[int, float] = defaultdict(float)
        for row in rows:
            copied[edges[row].copy] += edges[row].clear
            for node in (edges[row].original, edges[row].copy):
                degree[node] += 1
                weight[node] += edges[row].probability
        return min(
            degree,
            key=lambda node: (copied[node] > 0, -degree[node], -round(weight[node], 6), node),
        )

    def log_odds(probability: float) -> float:
        return math.log(probability / (1 - probability)) if probability < 1 else math.inf

    def is_shown(row: int, spokes: dict[int, float]) -> bool:
        """Whether a group shows a pair, or one that is about as sure in its place."""
        edge = edges[row]
        joined = [spokes.get(edge.copy, 0.0)]
        joined += [] if edge.clear else [spokes.get(edge.original, 0.0)]
        if not {edge.original, edge.copy} <= spokes.keys():
            return False
        return log_odds(min(edge.probability, 0.999)) <= log_odds(max(joined)) + math.log(4)

    groups, left = [], list(range(len(edges)))
    while left:
        node = centre(left)
        spokes = [row for row in left if node in (edges[row].original, edges[row].copy)]
        spokes.sort(key=lambda row: (-edges[row].probability, other(row, node)))
        surest = {node: 1.0} | {other(row, node): edges[row].probability for row in spokes[::-1]}
        groups.append(Group(node, tuple((other(row, node), row) for row in spokes)))
        left = [row for row in left if not is_shown(row, surest)]
    return sorted(
        groups,
        key=lambda g: (
            -len(g.copies),
            -max(edges[row].probability for _, row in g.copies),
            g.original,
        ),
    )


def random_edges(seed: int) -> list[Edge]:
    """Few probabilities and few images make many ties; they have six digits, like verdicts."""
    rng = random.Random(seed)
    nodes = rng.randrange(2, 14)
    ends = {frozenset(rng.sample(range(nodes), 2)): None for _ in range(rng.randrange(1, 40))}
    return [
        Edge(
            *rng.sample(sorted(end), 2),
            rng.choice([0.6, 0.7, 0.8, round(rng.random(), 6)]),
            rng.random() < 0.7,
        )
        for end in ends
    ]


def test_counting_down_gives_the_same_stars_as_counting_anew() -> None:
    for seed in range(400):
        edges = random_edges(seed)
        assert star_groups(edges) == counted_anew(edges), seed


@pytest.mark.skipif(not shutil.which("node"), reason="no node on this machine")
def test_the_script_of_the_gallery_groups_alike(tmp_path: Path) -> None:
    cases = [random_edges(seed) for seed in range(60)]
    listed = [
        [
            {"original": e.original, "copy": e.copy, "p": e.probability, "clear": e.clear}
            for e in edges
        ]
        for edges in cases
    ]
    script = Path(groups.__file__).with_name("page") / "groups.js"
    run = (
        f"{script.read_text(encoding='utf-8')}\nconst cases = {json.dumps(listed)};\n"
        "const answers = cases.map(pairs => starGroups(pairs, pairs.map((_, row) => row)));\n"
        "console.log(JSON.stringify(answers));"
    )
    (tmp_path / "run.js").write_text(run, encoding="utf-8")
    done = subprocess.run(
        ["node", str(tmp_path / "run.js")], capture_output=True, text=True, check=True
    )
    answers = [
        [Group(star["original"], tuple(map(tuple, star["copies"]))) for star in stars]
        for stars in json.loads(done.stdout)
    ]
    assert answers == [star_groups(edges) for edges in cases]


def test_a_long_chain_takes_no_more_steps_a_pair_than_a_short_one() -> None:
    """Count executed lines, not seconds: the machine may be busy. Quadratic would be 8 times."""

    def lines(pairs: int) -> int:
        count = 0

        def trace(*_: object) -> object:
            nonlocal count
            count += 1
            return trace

        edges = [Edge(number, number + 1, 0.9) for number in range(pairs)]
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            star_groups(edges)
        finally:
            sys.settrace(before)
        return count

    assert lines(1600) < 2 * 8 * lines(200)
