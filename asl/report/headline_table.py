"""The headline table, for terminals, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from asl.metrics.evaluation import Evaluation, KindResult
from asl.metrics.significance import Difference

COLUMNS = {
    "uap": "µAP",
    "recall_at_p90": "R@P90",
    "recall_at_1": "R@1",
    "recall_at_10": "R@10",
    "hard_false_match_rate": "hard negatives matched",
}
Rows = Sequence[Sequence[str]]
LOWER_IS_BETTER = {"hard_false_match_rate"}


def digits(value: float | None) -> str:
    """Three digits after the point, – for none."""
    return "–" if value is None else f"{value:.3f}"


def cells(evaluation: Evaluation) -> dict[str, str]:
    """Column -> text: three digits after the point, a 95 % interval behind where there is one, – for none."""
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
    """One row a run, for the terminal; the best value of a column is bold."""
    table = Table(title=title, title_justify="left")
    table.add_column("score")
    for label in COLUMNS.values():
        table.add_column(label, justify="right", max_width=14)
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
    """The same as a Markdown table."""
    rows = [[run, *cells(evaluation).values()] for run, evaluation in evaluations.items()]
    return markdown_rows([["score", *COLUMNS.values()], *rows])


def kind_rows(breakdown: Mapping[str, KindResult], *, head: str = "kind") -> Rows:
    """A breakdown (``by_kind`` or ``by_group`` of an evaluation), its header first."""
    rows = [[head, "queries", "µAP", "R@1", "found", "wrongly matched"]]
    for name, result in breakdown.items():
        values = (result.uap, result.recall_at_1, result.found, result.false_match_rate)
        rows.append([name, str(result.queries), *map(digits, values)])
    return rows


def difference_rows(differences: Mapping[str, Mapping[str, Difference]]) -> Rows:
    """Paired differences to a first run, the header first."""
    rows = [["run", "metric", "difference", "95 % interval", "p"]]
    for run, metrics in differences.items():
        for name, d in metrics.items():
            span = f"{d.interval.low:+.4f} … {d.interval.high:+.4f}"
            rows.append([run, COLUMNS.get(name, name), f"{d.value:+.4f}", span, f"{d.p_value:.3f}"])
    return rows


def rich_rows(rows: Rows) -> Table:
    """Rows, the header first, for the terminal."""
    table = Table()
    for number, label in enumerate(rows[0]):
        table.add_column(label, justify="right" if number else "left")
    for row in rows[1:]:
        table.add_row(*map(escape, row))
    return table


def markdown_rows(rows: Rows) -> str:
    """Rows, the header first, as a Markdown table."""
    lines = ["| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in rows]
    lines.insert(1, "|---|" + "---:|" * (len(rows[0]) - 1))
    return "\n".join(lines) + "\n"
