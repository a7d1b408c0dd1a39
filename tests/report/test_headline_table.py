"""Tables for terminals and Markdown."""

from __future__ import annotations

import io

from rich.console import Console

from asl.metrics.evaluation import evaluate
from asl.metrics.intervals import Interval
from asl.metrics.significance import Difference
from asl.report.headline_table import (
    difference_rows,
    kind_rows,
    markdown_rows,
    markdown_table,
    rich_rows,
    rich_table,
)
from asl.types import ScoredPairs, TruthPairs

TRUTH = TruthPairs.from_pairs(
    [("a", "R"), ("b", "S")],
    other_queries=["h"],
    kinds={"a": "crop", "b": "pad", "h": "hard:video"},
)
GOOD = ScoredPairs.from_ids(["a", "b", "h"], ["R", "S", "R"], [0.9, 0.8, 0.1])
BAD = ScoredPairs.from_ids(["a", "b", "h"], ["R", "S", "R"], [0.5, 0.2, 0.9])


def printed(table: object, width: int = 100) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=True, color_system="truecolor"
    )
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_markdown_has_numbers_intervals_and_dashes() -> None:
    runs = {"good": evaluate(GOOD, TRUTH, bootstrap=20), "ba|d": evaluate(BAD, TRUTH)}
    text = markdown_table(runs)
    head, rule, good, bad = text.splitlines()
    assert head.startswith("| score | µAP | R@P90 |")
    assert head.count("|") == rule.count("|") == good.count("|")
    assert "1.000 [1.000, 1.000]" in good
    assert "ba\\|d" in bad
    assert "0.583" in bad
    assert "–" in bad  # no threshold, so no hard-negative rate


def test_no_interval_is_cut_in_a_narrow_terminal() -> None:
    runs = {name: evaluate(GOOD, TRUTH, bootstrap=20) for name in ("verified", "hinge+SN of two")}
    narrow = io.StringIO()
    Console(file=narrow, width=80).print(rich_table(runs, title="bench"))
    lines = narrow.getvalue().splitlines()
    assert "…" not in narrow.getvalue()
    assert max(map(len, lines)) <= 80
    assert sum(line.count("1.000–1.000") for line in lines) >= 2 * 4


def test_the_terminal_marks_the_best_of_a_column() -> None:
    text = printed(
        rich_table({"good": evaluate(GOOD, TRUTH, bootstrap=20), "bad [x]": evaluate(BAD, TRUTH)})
    )
    assert "\x1b[1m1.000" in text
    assert "\x1b[1m0.583" not in text
    assert "1.000–1.000" in text
    assert "bad [x]" in text


def test_lower_hard_negative_rates_are_better() -> None:
    # b stands below the hard negative in the second run; a threshold at 2/3 precision lets it in.
    close = GOOD.with_scores([0.9, 0.1, 0.5])
    runs = {
        "good": evaluate(GOOD, TRUTH, precision=0.6),
        "close": evaluate(close, TRUTH, precision=0.6),
    }
    assert [run.hard_false_match_rate for run in runs.values()] == [0, 1]
    text = printed(rich_table(runs))
    assert "\x1b[1m0.000" in text


def test_breakdown_and_differences_as_rows() -> None:
    rows = kind_rows(evaluate(GOOD, TRUTH).by_kind, head="edit")
    assert rows[0][0] == "edit"
    assert ["crop", "1", "too few", "1 of 1", "1 of 1", "0 of 1"] in rows
    assert ["hard:video", "1", "–", "–", "–", "0 of 1"] in rows
    differences = {"b": {"uap": Difference(-0.1, Interval(-0.2, 0.05), 0.25)}}
    assert difference_rows(differences)[1] == ["b", "µAP", "-0.1000", "-0.2000 … +0.0500", "0.250"]
    assert markdown_rows(rows).count("\n") == len(rows) + 1
    assert "hard:video" in printed(rich_rows(rows))


def test_tables_of_many_kinds_are_whole_in_a_narrow_terminal() -> None:
    queries = [f"q{number}" for number in range(20)]
    kinds = {query: "hard:reverse_crop_of_a_frame" if query == "q0" else "c" for query in queries}
    truth = TruthPairs.from_pairs([(query, "R") for query in queries], kinds=kinds)
    pairs = ScoredPairs.from_ids(queries, ["R"] * 20, [1 - 0.01 * n for n in range(20)])
    rows = kind_rows(evaluate(pairs, truth, bootstrap=20).by_kind)
    assert rows[1][:3] == ["c", "19", "1.000 [1.000, 1.000]"]
    assert rows[1][3] == "1.000 [0.832, 1.000]", "an interval has a width where all cases agree"
    assert rows[2][2:] == ["too few", "1 of 1", "1 of 1", "0 of 1"]
    long = {"verified with a long name [x]": {"uap": Difference(-0.1, Interval(-0.2, 0.05), 0.25)}}
    for table, whole in ((rows, "0.832–1.000"), (difference_rows(long), "-0.2000 … +0.0500")):
        narrow = io.StringIO()
        Console(file=narrow, width=80).print(rich_rows(table))
        lines = narrow.getvalue().splitlines()
        assert max(map(len, lines)) <= 80
        assert any(whole in line for line in lines)
        assert "…" not in narrow.getvalue().replace(" … ", "")
