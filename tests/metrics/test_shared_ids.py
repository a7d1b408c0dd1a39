"""Ids of predictions, features and truth are compared for every role."""

from __future__ import annotations

import numpy as np
import pytest

from asl.metrics.shared_ids import compare_features, compare_predictions
from asl.types import AslError, ScoredPairs, TruthPairs

TRUTH = TruthPairs.from_pairs([(f"Q{n}", f"R{n}") for n in range(4)], other_queries=["Q8"])


def pairs(queries: list[str], references: list[str]) -> ScoredPairs:
    return ScoredPairs.from_ids(queries, references, np.linspace(1, 0, len(queries)))


def test_equal_formats_give_no_line() -> None:
    assert compare_predictions(pairs(["Q0", "Q8"], ["R0", "R9"]), TRUTH, name="p") == []
    assert compare_predictions(pairs([], []), TRUTH, name="p") == []


@pytest.mark.parametrize(
    ("queries", "references", "said"),
    [
        (
            ["Q0.jpg", "Q1.jpg"],
            ["R0", "R1"],
            "its query ids are .*0 of 2 shared.*'Q0.jpg', the truth 'Q0'",
        ),
        (
            ["Q0", "Q1"],
            ["R0.jpg", "R1.jpg"],
            "its reference ids are .*0 of 2 shared.*'R0.jpg', the truth 'R0'",
        ),
    ],
)
def test_another_format_of_either_role_is_refused(
    queries: list[str], references: list[str], said: str
) -> None:
    with pytest.raises(AslError, match=f"p: {said}; do both files use the same id format"):
        compare_predictions(pairs(queries, references), TRUTH, name="p")


def test_queries_that_the_truth_lacks_are_told() -> None:
    (line,) = compare_predictions(pairs(["Q0", "X1", "X2"], ["R0", "R1", "R2"]), TRUTH, name="p")
    assert "2 of its 3 queries are not in the truth, scored as without a match" in line
    assert "'X1'" in line


def test_missing_images_of_the_truth_are_told_or_refused() -> None:
    queries, references = TRUTH.queries, np.array(["R0", "R1", "R2", "R3", "D1"])
    assert compare_features(TRUTH, queries=queries, references=references) == []
    (line,) = compare_features(TRUTH, queries=queries, references=references[1:])
    assert line.startswith("references: 1 of the 4 references in the truth are not among the 4")
    (line,) = compare_features(TRUTH, queries=queries[1:], references=references)
    assert line.startswith("queries: 1 of the 5 queries in the truth are not among the 4")
    with pytest.raises(AslError, match=r"references: 3 of the 4 .*'R0' \(references have 'R3'\)"):
        compare_features(TRUTH, queries=queries, references=references[3:])


def test_predictions_in_the_other_direction_are_named() -> None:
    with pytest.raises(AslError, match=r"^p: queries and references are exchanged: .*'R0' is a"):
        compare_predictions(pairs(["R0", "R1"], ["Q0", "Q1"]), TRUTH, name="p")
    both = TruthPairs.from_pairs([("a", "b"), ("b", "c")])
    assert compare_predictions(pairs(["b"], ["c"]), both, name="p") == [], (
        "an image may have both roles"
    )
