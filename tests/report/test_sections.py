from __future__ import annotations

import pytest

from asl.metrics.evaluation import KindResult, evaluate
from asl.metrics.intervals import Interval
from asl.metrics.significance import Difference
from asl.report.sections import breakdown, difference_values, shown_columns, table_note
from asl.types import ScoredPairs, TruthPairs

TRUTH = TruthPairs.from_pairs([("q0", "r0"), ("q1", "r1")], other_queries=["q2"])
PAIRS = ScoredPairs.from_ids(["q0", "q1", "q2"], ["r0", "r0", "r1"], [0.9, 0.5, 0.1])


def test_columns_without_a_value_are_left_out() -> None:
    evaluation = evaluate(PAIRS, TRUTH)
    assert "hard_false_match_rate" not in shown_columns({"a": evaluation})
    assert "Hard negatives" not in table_note({"a": evaluation})
    assert table_note({"a": evaluation, "b": evaluation}).startswith("The marked run has the best")


@pytest.mark.parametrize(
    ("value", "low", "high", "word"),
    [(0.1, 0.05, 0.2, "better"), (-0.1, -0.2, -0.05, "worse"), (0.1, -0.1, 0.2, "unsure")],
)
def test_a_difference_is_sure_where_its_interval_leaves_out_zero(
    value: float, low: float, high: float, word: str
) -> None:
    difference = Difference(value, Interval(low, high), 0.1)
    (row,) = difference_values({"run": {"uap": difference}})
    assert (row.run, row.metric, row.word) == ("run", "µAP", word)


def test_kinds_with_true_pairs_come_first() -> None:
    results = {name: kind(true_pairs) for name, true_pairs in (("a", 0), ("b", 3), ("c", 1))}
    table = breakdown("By kind", results, {"b": kind(3)})
    assert [row.name for row in table.rows] == ["b", "c", "a"]
    assert [cell.worse for cell in table.rows[0].cells] == [False, False, False, True]
    assert [cell.before is None for cell in table.rows[1].cells] == [True] * 4
    assert not table.has_norms


def kind(true_pairs: int) -> KindResult:
    return KindResult(
        queries=4,
        true_pairs=true_pairs,
        uap=0.5 if true_pairs else None,
        recall_at_1=0.5 if true_pairs else None,
        found=0.5 if true_pairs else None,
        false_match_rate=0.1,
    )
