"""The report: one self-contained HTML file, with Markdown and JSON twins beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from asl.data.catalog import Catalog
from asl.data.files import atomic_text
from asl.metrics.directional import Directional
from asl.metrics.evaluate import Evaluation
from asl.metrics.ranking import precision_recall_curve, rank
from asl.report.gallery import Case, thumbnails, worst_false_matches, worst_misses
from asl.report.style import STYLE
from asl.report.svg import bar, histogram, line_plot
from asl.report.table import COLUMNS, cells, kind_table, markdown_table
from asl.types import QueryEmbeddings, ReferenceEmbeddings, ScoredPairs, TruthPairs

_CASES = 12


def write_report(
    path: str | Path,
    *,
    title: str,
    evaluations: Mapping[str, Evaluation],
    pairs: Mapping[str, ScoredPairs],
    truth: TruthPairs,
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
    query_images: Catalog,
    reference_images: Catalog,
    context: Mapping[str, Any],
) -> None:
    """Write ``<path>`` (HTML) and, beside it, ``.md`` and ``metrics.json``.

    Args:
        path: ``report.html``.
        title: of the page.
        evaluations: name of a score -> its numbers; the first is what the others are compared with.
        pairs: name of a score -> its predictions.
        truth: of all of them.
        queries: embeddings, for the norms.
        references: embeddings, for the norms.
        query_images: for the gallery.
        reference_images: for the gallery.
        context: facts for the foot of the page; ``directional`` (:class:`Directional`) gets a section of its own.
    """
    path = Path(path)
    facts = {name: value for name, value in context.items() if name != "directional"}
    norms: Directional | None = context.get("directional")
    best = max(evaluations, key=lambda name: (evaluations[name].recall_at_p90, evaluations[name].uap))
    parts = [
        _header(title, evaluations, best),
        _curves(pairs, truth),
        _norm_section(norms) if norms is not None else "",
        _kind_section(evaluations, best),
        _gallery(best, evaluations[best], pairs[best], truth, queries, references, query_images, reference_images),
        _foot(facts),
    ]
    page = (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style><main>{''.join(parts)}</main></html>"
    )
    with atomic_text(path) as file:
        file.write(page)
    with atomic_text(path.with_suffix(".md")) as file:
        file.write(_markdown(title, evaluations, best, norms, facts))
    write_metrics(path.with_name("metrics.json"), evaluations, norms, facts)


def write_metrics(
    path: Path, evaluations: Mapping[str, Evaluation], norms: Directional | None, facts: Mapping[str, Any]
) -> None:
    """``{"scores": {name: numbers}, "directional": ..., "context": ...}``."""
    document = {
        "scores": {name: evaluation.to_json() for name, evaluation in evaluations.items()},
        "directional": norms.to_json() if norms else None,
        "context": dict(facts),
    }
    with atomic_text(path) as file:
        json.dump(document, file, indent=1, default=str)


def _header(title: str, evaluations: Mapping[str, Evaluation], best: str) -> str:
    counts = evaluations[best].counts
    head = "".join(f"<th>{escape(label)}" for label in COLUMNS.values())
    rows = []
    for name, evaluation in evaluations.items():
        texts = cells(evaluation)
        values = []
        for column, text in texts.items():
            number, _, interval = text.partition(" ")
            values.append(f"<td>{bar(getattr(evaluation, column), text=number)}<small>{escape(interval)}</small>")
        mark = ' class="best"' if name == best else ""
        rows.append(f"<tr{mark}><th>{escape(name)}{''.join(values)}")
    threshold = evaluations[best].threshold_at_p90
    advice = (
        f"Accept <b>{escape(best)}</b> scores of {threshold:.4f} and more, and nine of ten matches are right."
        if threshold is not None
        else "No threshold reaches a precision of 0.9."
    )
    return (
        f"<h1>{escape(title)}</h1><p class=lead>{counts['queries']} queries, {counts['true_pairs']} true pairs, "
        f"{counts['predictions']} predictions. {advice}</p>"
        f"<table class=head><tr><th>score{head}{''.join(rows)}</table>"
        "<p class=note>Brackets: 95 % bootstrap interval over queries. Hard negatives matched: share of look-alike and "
        "reverse-crop queries with a false match at the threshold of R@P90; lower is better.</p>"
    )


def _curves(pairs: Mapping[str, ScoredPairs], truth: TruthPairs) -> str:
    curves = {}
    for name, run in pairs.items():
        recall, precision, _ = precision_recall_curve(rank(run, truth), points=300)
        curves[name] = (recall, precision)
    return "<h2>Precision over recall</h2>" + line_plot(curves, x_label="recall", y_label="precision")


def _norm_section(norms: Directional) -> str:
    hard = "" if norms.auroc_hard is None else f", from hard negatives {norms.auroc_hard:.3f}"
    return (
        "<h2>Do the norms know the direction?</h2>"
        f"<p>In {norms.norm_order_accuracy:.1%} of the true pairs the reference has the larger norm. AUROC of the "
        f"difference: true from reversed pairs {norms.auroc_reversed:.3f}{hard} (0.5 = no better than chance).</p>"
        + histogram(norms.differences, x_label="ln |f(reference)| − ln |f(query)|")
    )


def _kind_section(evaluations: Mapping[str, Evaluation], best: str) -> str:
    first, chosen = next(iter(evaluations)), evaluations[best]
    if not chosen.by_kind:
        return ""
    rows = []
    for kind, result in chosen.by_kind.items():
        base = evaluations[first].by_kind.get(kind)
        values = [result.uap, result.found, result.false_match_rate]
        before = [base.uap, base.found, base.false_match_rate] if base else [None] * 3
        tds = "".join(
            f"<td>{bar(now, text=_digits(now))}<small>{_digits(old)}</small>"
            for now, old in zip(values, before, strict=True)
        )
        rows.append(f"<tr><th>{escape(kind)}<td>{result.queries}{tds}")
    return (
        f"<h2>By kind of query</h2><p>{escape(best)}; small: {escape(first)}.</p><table><tr><th>kind<th>queries<th>µAP"
        f"<th>found<th>wrongly matched{''.join(rows)}</table>"
    )


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _gallery(
    name: str,
    evaluation: Evaluation,
    pairs: ScoredPairs,
    truth: TruthPairs,
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
    query_images: Catalog,
    reference_images: Catalog,
) -> str:
    false = worst_false_matches(pairs, truth, queries, references, count=_CASES)
    misses = worst_misses(pairs, truth, queries, references, threshold=evaluation.threshold_at_p90, count=_CASES)
    draw_query, draw_reference = thumbnails(query_images), thumbnails(reference_images)

    def card(case: Case) -> str:
        arrow = "→" if case.query_norm <= case.reference_norm else "⇠"
        score = "" if case.score is None else f"score {case.score:.4f} · "
        return (
            f'<figure><div class=pair><div><img alt="query {escape(case.query)}" src="{draw_query(case.query)}">'
            f"<small>query {escape(case.query)}<br>ln|f| {case.query_norm:.3f}</small></div><span>{arrow}</span>"
            f'<div><img alt="reference {escape(case.reference)}" src="{draw_reference(case.reference)}">'
            f"<small>{escape(case.reference)}<br>ln|f| {case.reference_norm:.3f}</small></div></div>"
            f"<figcaption>{score}{escape(case.kind)}<br>{escape(case.verdict)}</figcaption></figure>"
        )

    sections = []
    for label, cases in (("The surest false matches", false), ("True pairs that were missed", misses)):
        body = "".join(card(case) for case in cases) or "<p>None.</p>"
        sections.append(f"<h2>{label}</h2><p>{escape(name)}</p><div class=gallery>{body}</div>")
    return "".join(sections)


def _foot(facts: Mapping[str, Any]) -> str:
    items = "".join(
        f"<dt>{escape(str(name))}<dd>{escape(json.dumps(value, default=str))}" for name, value in facts.items()
    )
    return f"<h2>How this was made</h2><dl>{items}</dl>"


def _markdown(
    title: str, evaluations: Mapping[str, Evaluation], best: str, norms: Directional | None, facts: Mapping[str, Any]
) -> str:
    parts = [f"# {title}\n", markdown_table(evaluations)]
    if norms is not None:
        parts.append(
            f"Norm-order accuracy {norms.norm_order_accuracy:.3f}, AUROC true/reversed {norms.auroc_reversed:.3f}, "
            f"µAP over both directions {norms.uap_both:.3f}.\n"
        )
    if evaluations[best].by_kind:
        parts += [f"## By kind ({best})\n", kind_table(evaluations[best])]
    parts += ["## How this was made\n", *[f"- {name}: {value}" for name, value in facts.items()], ""]
    return "\n".join(parts)
