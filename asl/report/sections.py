"""The parts of the page, each a function from results to HTML; an empty string where there is nothing to show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from asl.data.catalog import Catalog
from asl.metrics.average_precision import F64, label_pairs
from asl.metrics.directional import Directional
from asl.metrics.evaluation import Evaluation, KindResult
from asl.metrics.significance import Difference
from asl.report.headline_table import COLUMNS, LOWER_IS_BETTER, digits
from asl.report.mistakes import (
    Case,
    norm_lookup,
    scores_of,
    thumbnails,
    worst_false_matches,
    worst_misses,
)
from asl.report.svg import bar, box_rows, histogram, line_plot
from asl.types import QueryEmbeddings, ReferenceEmbeddings, ScoredPairs, TruthPairs

Embedded = tuple[QueryEmbeddings | None, ReferenceEmbeddings | None]


def headline(title: str, evaluations: Mapping[str, Evaluation], chosen: str) -> str:
    """Title, what was measured, the table of all runs."""
    first = evaluations[chosen]
    counts = first.counts
    candidates = counts["found"] / max(counts["true_pairs"], 1)
    facts = (
        f"<b>{counts['queries']:,}</b> queries, <b>{counts['queries_with_match']:,}</b> of them copies · "
        f"<b>{counts['true_pairs']:,}</b> true pairs, {candidates:.1%} of them among the "
        f"<b>{counts['predictions']:,}</b> predictions"
    )
    shown = [
        name for name in COLUMNS if any(getattr(e, name) is not None for e in evaluations.values())
    ]
    head = "".join(f"<th>{escape(COLUMNS[name])}" for name in shown)
    rows = "".join(
        _run_row(name, evaluation, shown, name == chosen)
        for name, evaluation in evaluations.items()
    )
    return (
        f"<header><h1>{escape(title)}</h1><p class=lead>{facts}</p></header>{_advice(chosen, first)}"
        f"<div class=wide><table class=head><thead><tr><th>run{head}<th>threshold<tbody>{rows}</table></div>"
        f"<p class=note>{_table_note(evaluations, shown)}</p>"
    )


def _run_row(name: str, evaluation: Evaluation, shown: list[str], chosen: bool) -> str:
    cells = []
    for column in shown:
        value, interval = getattr(evaluation, column), evaluation.intervals.get(column)
        span = (interval.low, interval.high) if interval and value is not None else None
        text = f"<small>{span[0]:.3f} – {span[1]:.3f}</small>" if span else ""
        cells.append(
            f"<td>{bar(value, text=digits(value), interval=span, worse=column in LOWER_IS_BETTER)}{text}"
        )
    threshold = evaluation.threshold_at_p90
    cells.append(f"<td>{'–' if threshold is None else f'{threshold:.4f}'}")
    return f"<tr{' class=chosen' if chosen else ''}><th>{escape(name)}{''.join(cells)}"


def _advice(chosen: str, evaluation: Evaluation) -> str:
    share = f"{evaluation.precision:.0%}"
    if evaluation.threshold is None:
        return f"<p class=advice>No threshold on the scores of <b>{escape(chosen)}</b> holds {share} precision."
    recall = evaluation.recalls[evaluation.precision][0]
    hard = evaluation.hard_false_match_rate
    also = "" if hard is None else f" and matches {hard:.1%} of the hard negatives"
    return (
        f"<p class=advice>Accept <b>{escape(chosen)}</b> scores of <b>{evaluation.threshold:.4f}</b> and above: at "
        f"{share} precision that finds <b>{recall:.1%}</b> of the true pairs{also}."
    )


def _table_note(evaluations: Mapping[str, Evaluation], shown: list[str]) -> str:
    notes = ["The marked run has the best µAP; breakdowns and pictures below are its own."] * (
        len(evaluations) > 1
    )
    if any(evaluation.intervals for evaluation in evaluations.values()):
        notes.append("Small numbers: 95 % bootstrap interval over queries.")
    if "hard_false_match_rate" in shown:
        notes.append(
            "Hard negatives matched: look-alike and reverse queries with a match at the threshold; lower is better."
        )
    return " ".join([*notes, "Threshold: lowest score that holds 90 % precision."])


def difference_section(differences: Mapping[str, Mapping[str, Difference]], first: str) -> str:
    """Paired differences to the first run."""
    if not differences:
        return ""
    rows = []
    for run, metrics in differences.items():
        for name, d in metrics.items():
            sure = d.interval.low > 0 or d.interval.high < 0
            word = ("better" if d.value > 0 else "worse") if sure else "unsure"
            rows.append(
                f"<tr><th>{escape(run)}<td>{escape(COLUMNS.get(name, name))}<td>{d.value:+.4f}"
                f"<td>{d.interval.low:+.4f} … {d.interval.high:+.4f}<td>{d.p_value:.3f}<td class={word}>{word}"
            )
    return (
        f"<h2>Against {escape(first)}</h2><table><thead><tr><th>run<th>metric<th>difference<th>95 % interval<th>p<th>"
        f"<tbody>{''.join(rows)}</table><p class=note>Paired bootstrap: both runs see the same redrawn queries.</p>"
    )


def plots_section(
    evaluations: Mapping[str, Evaluation], chosen: str, norms: Directional | None
) -> str:
    """Precision over recall of every run in one plot; beside it what the norms know."""
    curves = {name: evaluation.curve[:2] for name, evaluation in evaluations.items()}
    marks = {}
    for name, (recall, precision) in curves.items():
        if evaluations[name].threshold_at_p90 is not None:
            at = int(np.searchsorted(recall, evaluations[name].recall_at_p90 - 1e-12))
            marks[name] = (float(recall[at]), float(precision[at]))
    plot = line_plot(
        curves, x_label="recall", y_label="precision", strong=chosen, level=0.9, marks=marks
    )
    left = f"<h2>Precision over recall</h2><p class=note>Dots: the best recall at 90 % precision.</p>{plot}"
    return f"<div class=columns><section>{left}</section><section>{_norms(norms)}</section></div>"


def _norms(norms: Directional | None) -> str:
    if norms is None:
        return ""
    hard = (
        "" if norms.auroc_hard is None else f", from hard negatives <b>{norms.auroc_hard:.3f}</b>"
    )
    missing = f" {norms.missing} true pairs have no embeddings." if norms.missing else ""
    return (
        "<h2>Do the norms know the direction?</h2><p class=note>The reference has the larger norm in "
        f"<b>{norms.norm_order_accuracy:.1%}</b> of the true pairs. AUROC of true from reversed pairs "
        f"<b>{norms.auroc_reversed:.3f}</b>{hard}; µAP over both directions <b>{norms.uap_both:.3f}</b> "
        f"(chance: 0.5).{missing}</p>"
        + histogram(
            norms.differences, x_label="ln |f(reference)| − ln |f(query)|", zero="equal norms"
        )
    )


def score_section(evaluation: Evaluation, pairs: ScoredPairs, truth: TruthPairs) -> str:
    """Scores of the true pairs by edit, and of the best false pair of queries without a match."""
    if not truth.kinds:
        return ""
    labels = label_pairs(pairs, truth)
    matched = {truth.kinds.get(query, "unknown") for query in truth.query_ids.tolist()}
    kinds = np.array([truth.kinds.get(query, "unknown") for query in pairs.queries.tolist()])
    rows: dict[str, F64] = {}
    for kind in np.unique(kinds).tolist():
        best = np.full(len(pairs.queries), -np.inf)
        wanted = np.flatnonzero((labels == (kind in matched)) & (kinds == kind)[pairs.query_index])
        np.maximum.at(best, pairs.query_index[wanted], pairs.scores[wanted])
        if len(wanted):
            rows[kind] = best[np.isfinite(best)]
    if not rows:
        return ""
    ordered = sorted(rows, key=lambda kind: (kind not in matched, float(np.median(rows[kind]))))
    plot = box_rows(
        {kind: rows[kind] for kind in ordered},
        x_label="score",
        colour={kind: int(kind not in matched) for kind in ordered},
        line=evaluation.threshold,
        line_label=f"threshold at {evaluation.precision:.0%} precision",
    )
    return (
        "<h2>Score by kind of query</h2><p class=note>Blue: the true pair, where it is a candidate. Red: the best "
        f"false pair of queries without a match. Box: the middle half; line: 5 % to 95 %.</p>{plot}"
    )


def kind_section(
    title: str,
    breakdown: Mapping[str, KindResult],
    base: Mapping[str, KindResult],
    *,
    note: str,
    norms: Directional | None,
) -> str:
    """A breakdown, with the first run's numbers as strokes, and how often the norms are ordered right."""
    if not breakdown:
        return ""
    ordered = norms.by_kind if norms else {}
    rows = []
    for name, result in sorted(
        breakdown.items(), key=lambda item: (item[1].true_pairs == 0, item[0])
    ):
        cells = []
        for metric in ("uap", "recall_at_1", "found", "false_match_rate"):
            now, old = getattr(result, metric), getattr(base.get(name), metric, None)
            cells.append(
                f"<td>{bar(now, text=digits(now), before=old, worse=metric == 'false_match_rate')}"
            )
        if ordered:
            rate = ordered[name][0] if name in ordered else None
            cells.append(f"<td>{bar(rate, text=digits(rate))}")
        rows.append(f"<tr><th>{escape(name)}<td>{result.queries}{''.join(cells)}")
    norm_head = "<th>norms in order" if ordered else ""
    return (
        f"<h2>{escape(title)}</h2><p class=note>{note}</p><div class=wide><table class=tight><thead><tr><th><th>"
        f"queries<th>µAP<th>R@1<th>found<th>wrongly matched{norm_head}<tbody>{''.join(rows)}</table></div>"
    )


def gallery_section(
    name: str,
    evaluation: Evaluation,
    pairs: Mapping[str, ScoredPairs],
    truth: TruthPairs,
    *,
    embeddings: Embedded,
    images: tuple[Catalog, Catalog],
    remarks: Mapping[tuple[str, str], str],
    count: int = 12,
) -> str:
    """The surest false matches and the worst misses, side by side with what was known of them."""
    false = worst_false_matches(pairs[name], truth, threshold=evaluation.threshold, count=count)
    misses = worst_misses(pairs[name], truth, threshold=evaluation.threshold, count=count)
    scores = scores_of(pairs, [case.pair for case in [*false, *misses]])
    draw = thumbnails(images[0]), thumbnails(images[1])
    norms = norm_lookup(embeddings[0]), norm_lookup(embeddings[1])

    def card(case: Case) -> str:
        shown = draw[0](case.query), draw[1](case.reference)
        lengths = norms[0](case.query), norms[1](case.reference)
        kind = truth.kinds.get(case.query, "")
        return _card(case, shown, lengths, kind, scores[case.pair], remarks.get(case.pair, ""))

    parts = []
    for label, cases in (
        ("The surest false matches", false),
        ("True pairs that were missed", misses),
    ):
        body = (
            f"<div class=gallery>{''.join(card(case) for case in cases)}</div>"
            if cases
            else "<p>None.</p>"
        )
        parts.append(
            f"<h2>{label}</h2><p class=note>{escape(name)}; query left, reference right.</p>{body}"
        )
    return "".join(parts)


def _card(
    case: Case,
    shown: tuple[str, str],
    lengths: tuple[float | None, float | None],
    kind: str,
    scores: Mapping[str, float],
    remark: str,
) -> str:
    query, reference = lengths
    arrow, direction = "", ""
    if query is not None and reference is not None:
        right = query <= reference
        arrow = "←" if right else "→"
        direction = (
            f"norms: {'the query may come from the reference' if right else 'the query holds more'}"
        )
    listed = "".join(
        f"<span>{escape(run)} <b>{score:.4f}</b></span>" for run, score in scores.items()
    )
    said = "<br>".join(escape(text) for text in (case.verdict, direction, remark) if text)
    return (
        f"<figure><div class=pair>{_side('query', case.query, shown[0], query)}<span>{arrow}</span>"
        f"{_side('reference', case.reference, shown[1], reference)}</div>"
        f"<figcaption><p><mark>{escape(kind)}</mark>{said}</p><div class=scores>{listed}</div></figcaption></figure>"
    )


def _side(role: str, name: str, source: str, length: float | None) -> str:
    picture = (
        f'<img loading=lazy alt="{role} {escape(name)}" src="{source}">'
        if source
        else "<i>no image</i>"
    )
    norm = "" if length is None else f"<br>ln|f| = {length:.3f}"
    return f'<div><div class=frame>{picture}</div><small title="{escape(name)}">{escape(name)}{norm}</small></div>'


def foot(facts: Mapping[str, Any]) -> str:
    """How the numbers came about."""
    if not facts:
        return ""
    items = "".join(
        f"<dt>{escape(str(name))}<dd>{escape(value if isinstance(value, str) else json.dumps(value, default=str))}"
        for name, value in facts.items()
    )
    return f"<h2>How this was made</h2><dl class=facts>{items}</dl>"
