"""The rate of hard negatives is a ratio of sums over queries, at a threshold that is given."""

from __future__ import annotations

from asl.metrics.average_precision import rank
from asl.metrics.hard_false_matches import hard_false_matches, hard_queries, is_hard
from asl.types import ScoredPairs, TruthPairs

TRUTH = TruthPairs.from_pairs(
    [("q", "r")],
    other_queries=["h1", "h2", "d"],
    kinds={"h1": "hard:video", "h2": "hard:reverse_crop", "d": "distractor"},
)
PAIRS = ScoredPairs.from_ids(["q", "h1", "h2", "d"], ["r", "r", "r", "r"], [0.9, 0.7, 0.3, 0.8])


def test_only_hard_negatives_above_the_threshold_count() -> None:
    ranking = rank(PAIRS, TRUTH)
    sums = hard_false_matches(ranking, TRUTH, 0.5)
    assert sums is not None
    matched, hard = sums
    names = ranking.queries.tolist()
    assert [name for name, value in zip(names, matched, strict=True) if value] == ["h1"]
    assert [name for name, value in zip(names, hard, strict=True) if value] == ["h1", "h2"]


def test_without_threshold_or_hard_negatives_there_is_no_rate() -> None:
    assert hard_false_matches(rank(PAIRS, TRUTH), TRUTH, None) is None
    plain = TruthPairs.from_pairs([("q", "r")])
    assert hard_false_matches(rank(PAIRS.take([0]), plain), plain, 0.1) is None


def test_kinds_are_hard_by_their_prefix() -> None:
    assert is_hard("hard:video")
    assert not is_hard("harder")
    assert hard_queries(["h1", "q", "unlisted"], TRUTH).tolist() == [True, False, False]
