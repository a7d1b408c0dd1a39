from __future__ import annotations

import pytest

from asl.metrics.breakdown import KindResult
from asl.metrics.directional import Directional
from asl.metrics.evaluation import evaluate
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


def test_kinds_of_few_queries_are_counted_and_others_have_intervals() -> None:
    few, more = kind(4, queries=4), kind(20, queries=20)
    norms = Directional(0.5, 0.5, None, 0.5, pairs=24, by_kind={"a": (0.75, 4), "b": (0.9, 20)})
    rows = breakdown("By kind", {"a": few, "b": more}, {}, norms).rows
    assert [cell.text for cell in rows[0].cells] == [
        "too few",
        "2 of 4",
        "2 of 4",
        "0 of 4",
        "3 of 4",
    ]
    assert all(cell.is_small and cell.interval is None for cell in rows[0].cells)
    assert [cell.text for cell in rows[1].cells] == ["0.500", "0.500", "0.500", "0.100", "0.900"]
    assert rows[1].cells[1].interval == (0.4, 0.6)
    assert not any(cell.is_small for cell in rows[1].cells)
    low, high = rows[1].cells[4].interval or (1, 0)
    assert low < 0.9 < high < 1


def kind(true_pairs: int, *, queries: int = 4) -> KindResult:
    return KindResult(
        queries=queries,
        true_pairs=true_pairs,
        uap=0.5 if true_pairs else None,
        recall_at_1=0.5 if true_pairs else None,
        found=0.5 if true_pairs else None,
        false_match_rate=0.1,
        intervals={"recall_at_1": Interval(0.4, 0.6)},
    )
