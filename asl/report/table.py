"""The headline table, for terminals, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from asl.metrics.evaluate import Evaluation

COLUMNS = {
    "uap": "µAP",
    "recall_at_p90": "R@P90",
    "recall_at_1": "R@1",
    "recall_at_10": "R@10",
    "hard_false_match_rate": "hard negatives matched",
}


def cells(evaluation: Evaluation) -> dict[str, str]:
    """Column -> text: three digits after the point, a 95 % interval behind where there is one, – for none."""
    result = {}
    for name in COLUMNS:
        value = getattr(evaluation, name)
        text = "–" if value is None else f"{value:.3f}"
        interval = evaluation.intervals.get(name)
        result[name] = f"{text} [{interval.low:.3f}, {interval.high:.3f}]" if interval else text
    return result


def rich_table(evaluations: Mapping[str, Evaluation], *, title: str | None = None) -> Table:
    """One row a run, for the terminal; the best value of a column is bold."""
    table = Table(title=title, title_justify="left")
    table.add_column("score")
    for label in COLUMNS.values():
        table.add_column(label, justify="right")
    best = {name: _best(evaluations, name) for name in COLUMNS}
    for run, evaluation in evaluations.items():
        texts = cells(evaluation)
        row = [f"[bold]{text}[/]" if run in best[name] else text for name, text in texts.items()]
        table.add_row(run, *row)
    return table


def _best(evaluations: Mapping[str, Evaluation], name: str) -> set[str]:
    values = {run: getattr(evaluation, name) for run, evaluation in evaluations.items()}
    known = [value for value in values.values() if value is not None]
    if len(known) < 2:
        return set()
    top = min(known) if name == "hard_false_match_rate" else max(known)
    return {run for run, value in values.items() if value == top}


def markdown_table(evaluations: Mapping[str, Evaluation]) -> str:
    """The same as a Markdown table."""
    lines = ["| score | " + " | ".join(COLUMNS.values()) + " |", "|---|" + "---:|" * len(COLUMNS)]
    for run, evaluation in evaluations.items():
        lines.append(f"| {run} | " + " | ".join(cells(evaluation).values()) + " |")
    return "\n".join(lines) + "\n"


def kind_table(evaluation: Evaluation) -> str:
    """The breakdown by kind of query as a Markdown table."""
    lines = ["| kind | queries | µAP | R@1 | found | wrongly matched |", "|---|---:|---:|---:|---:|---:|"]
    for kind, result in evaluation.by_kind.items():
        values = (result.uap, result.recall_at_1, result.found, result.false_match_rate)
        texts = ["–" if value is None else f"{value:.3f}" for value in values]
        lines.append(f"| {kind} | {result.queries} | " + " | ".join(texts) + " |")
    return "\n".join(lines) + "\n"
