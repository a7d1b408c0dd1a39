"""Headline table and breakdowns, for terminals and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from asl.metrics.breakdown import FEW_QUERIES, KindResult
from asl.metrics.evaluation import Evaluation
from asl.metrics.significance import Difference

COLUMNS = {
    "uap": "µAP",
    "recall_at_p90": "R@P90",
    "recall_at_1": "R@1",
    "recall_at_10": "R@10",
    "hard_false_match_rate": "hard negatives matched",
}
Rows = Sequence[Sequence[str]]
BREAKDOWN_METRICS = ("uap", "recall_at_1", "found", "false_match_rate")
KINDS_NOTE = (
    "95 % intervals: of µAP over redrawn queries, of shares by Wilson. "
    f"Of fewer than {FEW_QUERIES} queries the counts are shown."
)
LOWER_IS_BETTER = {"hard_false_match_rate"}
_INTERVAL_WIDTH = len("0.123–0.456")


def digits(value: float | None) -> str:
    """Format with three digits after the point, – for None.

    >>> digits(0.12345), digits(None)
    ('0.123', '–')
    """
    return "–" if value is None else f"{value:.3f}"


def cells(evaluation: Evaluation) -> dict[str, str]:
    """Format the columns of a run.

    Returns:
        Column -> value with three digits, followed by its 95 % interval if there is one, – for
        None.
    """
    result = {}
    for name in COLUMNS:
        value = getattr(evaluation, name)
        interval = evaluation.intervals.get(name)
        result[name] = (
            f"{digits(value)} [{interval.low:.3f}, {interval.high:.3f}]"
            if interval
            else digits(value)
        )
    return result


def rich_table(evaluations: Mapping[str, Evaluation], *, title: str | None = None) -> Table:
    """Build the table for the terminal, one row a run; the best value of a column is bold."""
    # Intervals are whole in a terminal of 80 columns.
    table = Table(title=title and escape(title), title_justify="left", padding=(0, 1, 0, 0))
    table.add_column("score", overflow="fold")
    for label in COLUMNS.values():
        table.add_column(label, justify="right", min_width=_INTERVAL_WIDTH, max_width=14)
    best = {name: _best(evaluations, name) for name in COLUMNS}
    for run, evaluation in evaluations.items():
        row = []
        for name, text in cells(evaluation).items():
            value, _, interval = text.partition(" ")
            strong = f"[bold]{value}[/]" if run in best[name] else value
            row.append(
                f"{strong}\n[dim]{interval[1:-1].replace(', ', '–')}[/]" if interval else strong
            )
        table.add_row(escape(run), *row)
    return table


def _best(evaluations: Mapping[str, Evaluation], name: str) -> set[str]:
    values = {run: getattr(evaluation, name) for run, evaluation in evaluations.items()}
    known = [value for value in values.values() if value is not None]
    if len(known) < 2:
        return set()
    top = min(known) if name in LOWER_IS_BETTER else max(known)
    return {run for run, value in values.items() if value == top}


def markdown_table(evaluations: Mapping[str, Evaluation]) -> str:
    """Build the headline table in Markdown."""
    rows = [[run, *cells(evaluation).values()] for run, evaluation in evaluations.items()]
    return markdown_rows([["score", *COLUMNS.values()], *rows])


def kind_rows(breakdown: Mapping[str, KindResult], *, head: str = "kind") -> Rows:
    """List a breakdown (``by_kind`` or ``by_group`` of an evaluation), the header first."""
    rows = [[head, "queries", "µAP", "R@1", "found", "wrongly matched"]]
    for name, result in breakdown.items():
        values = [_interval_cell(result, metric) for metric in BREAKDOWN_METRICS]
        rows.append([name, str(result.queries), *values])
    return rows


def kind_cell(result: KindResult, metric: str) -> str:
    """Format a number of a kind: a rate, or of few queries a count.

    >>> kind_cell(KindResult(3, 3, 0.5, 1 / 3, None, 0.0), "recall_at_1")
    '1 of 3'
    """
    value = getattr(result, metric)
    if value is None or not result.is_small:
        return digits(value)
    if metric == "uap":
        return "too few"
    cases = result.cases(metric)
    return f"{round(value * cases)} of {cases}"


def _interval_cell(result: KindResult, metric: str) -> str:
    text, interval = kind_cell(result, metric), result.intervals.get(metric)
    if interval is None or result.is_small:
        return text
    return f"{text} [{interval.low:.3f}, {interval.high:.3f}]"


def difference_rows(differences: Mapping[str, Mapping[str, Difference]]) -> Rows:
    """List paired differences to the first run, the header first."""
    rows = [["run", "metric", "difference", "95 % interval", "p"]]
    for run, metrics in differences.items():
        for name, difference in metrics.items():
            interval = f"{difference.interval.low:+.4f} … {difference.interval.high:+.4f}"
            rows.append(
                [
                    run,
                    COLUMNS.get(name, name),
                    f"{difference.value:+.4f}",
                    interval,
                    f"{difference.p_value:.3f}",
                ]
            )
    return rows


def rich_rows(rows: Rows) -> Table:
    """Build a table of rows, the header first, for the terminal."""
    # Names give way in a terminal of 80 columns, numbers and intervals never.
    table = Table(padding=(0, 1, 0, 0))
    for number, label in enumerate(rows[0]):
        if number:
            table.add_column(label, justify="right", min_width=_longest(rows, number))
        else:
            table.add_column(label, overflow="fold")
    for row in rows[1:]:
        table.add_row(escape(row[0]), *map(_two_lines, row[1:]))
    return table


def _two_lines(cell: str) -> str:
    """Put the interval of a number under it."""
    value, bracket, interval = cell.partition(" [")
    if not bracket or not interval.endswith("]"):
        return escape(cell)
    return f"{escape(value)}\n[dim]{interval[:-1].replace(', ', '–')}[/]"


def _longest(rows: Rows, number: int) -> int:
    """Return the width of a column whose cells are not broken."""
    cells = [row[number].partition(" [") for row in rows[1:]]
    return max((max(len(value), len(interval) - 2) for value, _, interval in cells), default=0)


def markdown_rows(rows: Rows) -> str:
    r"""Build a Markdown table of rows, the header first.

    >>> print(markdown_rows([["kind", "µAP"], ["<b>|", "0.5"]]), end="")
    | kind | µAP |
    |---|---:|
    | &lt;b&gt;\| | 0.5 |
    """
    lines = ["| " + " | ".join(map(markdown_text, row)) + " |" for row in rows]
    lines.insert(1, "|---|" + "---:|" * (len(rows[0]) - 1))
    return "\n".join(lines) + "\n"


def markdown_text(text: str) -> str:
    """Escape a text from outside: no HTML, no column separator, one line."""
    one_line = " ".join(text.split())
    return (
        one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "\\|")
    )
