"""Which pairs are shown, and what is said of them."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.data.catalog import open_catalog
from asl.report.mistakes import (
    norm_lookup,
    scores_of,
    thumbnails,
    worst_false_matches,
    worst_misses,
)
from asl.types import Embeddings, ScoredPairs, TruthPairs

TRUTH = TruthPairs.from_pairs([("a", "R"), ("b", "S"), ("c", "T"), ("d", "R")], other_queries=["h"])
PAIRS = ScoredPairs.from_ids(
    ["a", "a", "b", "b", "h", "h", "c", "d"],
    ["R", "S", "S", "R", "R", "T", "S", "R"],
    [0.9, 0.7, 0.2, 0.6, 0.8, 0.75, 0.1, 0.95],
)


def test_false_matches_come_best_first_one_a_query() -> None:
    cases = worst_false_matches(PAIRS, TRUTH, threshold=0.7, count=3)
    assert [case.pair for case in cases] == [("h", "R"), ("a", "S"), ("b", "R")]
    assert [case.score for case in cases] == [0.8, 0.7, 0.6]
    assert [case.verdict for case in cases] == ["false match: accepted"] * 2 + [
        "false pair, below the threshold"
    ]
    assert worst_false_matches(PAIRS, TRUTH, threshold=None, count=3)[0].verdict.startswith(
        "false pair"
    )


def test_misses_are_absent_pairs_then_low_ones_never_found_ones() -> None:
    cases = worst_misses(PAIRS, TRUTH, threshold=0.7, count=12)
    assert [(case.pair, case.score) for case in cases] == [(("c", "T"), None), (("b", "S"), 0.2)]
    assert cases[0].verdict == "missed: no candidate"
    assert cases[1].verdict == "missed: below the threshold"


@pytest.mark.parametrize(
    ("absent", "low", "expected"),
    [(10, 10, (3, 3)), (1, 10, (1, 5)), (10, 1, (5, 1)), (9, 0, (6, 0))],
)
def test_misses_of_both_sorts_share_the_places(
    absent: int, low: int, expected: tuple[int, int]
) -> None:
    truth = TruthPairs.from_pairs(
        [(f"a{n}", "R") for n in range(absent)] + [(f"l{n}", "R") for n in range(low)]
    )
    pairs = ScoredPairs.from_ids(
        ["x"] + [f"l{n}" for n in range(low)], ["R"] * (low + 1), np.arange(low + 1) / 100
    )
    cases = worst_misses(pairs, truth, threshold=2.0, count=6)
    assert (
        sum(c.score is None for c in cases),
        sum(c.score is not None for c in cases),
    ) == expected


def test_scores_of_every_run_that_has_the_pair() -> None:
    other = ScoredPairs.from_ids(["a"], ["R"], [5.0])
    found = scores_of({"first": PAIRS, "other": other}, [("a", "R"), ("c", "T"), ("h", "R")])
    assert found == {
        ("a", "R"): {"first": 0.9, "other": 5.0},
        ("c", "T"): {},
        ("h", "R"): {"first": 0.8},
    }


def test_norms_are_looked_up_by_id() -> None:
    lookup = norm_lookup(Embeddings(["z", "a"], np.eye(2), np.array([1.5, 2.5])))
    assert (lookup("a"), lookup("z"), lookup("zz"), lookup("0")) == (2.5, 1.5, None, None)
    assert norm_lookup(None)("a") is None


def test_thumbnails_are_small_pictures_and_broken_files_are_none(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "wide.png"), np.full((50, 400, 3), (0, 0, 255), np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no")
    draw = thumbnails(open_catalog(tmp_path, id_style="stem"), side=100)
    kind, _, data = draw("wide").partition(",")
    assert kind == "data:image/jpeg;base64"
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[:2] == (12, 100)
    assert image[6, 50, 2] > 200  # still red
    assert image[6, 50, 0] < 60
    assert draw("broken") == draw("nowhere") == thumbnails(None)("wide") == ""
