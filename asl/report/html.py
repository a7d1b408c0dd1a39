"""Write the report of an evaluation: a self-contained HTML page, Markdown, JSON and the curve."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from asl.data.catalog import Catalog
from asl.metrics.directional import Directional, directional
from asl.metrics.evaluation import Evaluation
from asl.metrics.significance import Difference
from asl.report.curve_file import CURVE_FILE, write_curves
from asl.report.headline_table import (
    COLUMNS,
    KINDS_NOTE,
    LOWER_IS_BETTER,
    difference_rows,
    digits,
    kind_rows,
    markdown_rows,
    markdown_table,
    markdown_text,
)
from asl.report.page import render
from asl.report.sections import (
    Breakdown,
    CardGallery,
    breakdown,
    curves_plot,
    difference_values,
    mistake_galleries,
    norm_histogram,
    score_plot,
    shown_columns,
    shown_intervals,
    table_note,
)
from asl.report.svg import Range, bar
from asl.storage import atomic_text, recorded, write_json
from asl.types import QueryEmbeddings, ReferenceEmbeddings, ScoredPairs, TruthPairs

LEAST_NORM_RANGE = 1e-2  # of log-norms
Differences = Mapping[str, Mapping[str, Difference]]


@dataclass(frozen=True, eq=False)
class Report:
    """Content of a report.

    Attributes:
        title: of the page.
        evaluations: run -> numbers; the others are compared with the first.
        pairs: run -> predictions; the same runs.
        truth: ground truth of all runs.
        queries: embeddings; with those of the references there is a section on the norms.
        references: embeddings.
        query_images: for the gallery, which needs the images of both roles.
        reference_images: for the gallery.
        norms: directional numbers; None: computed from the embeddings, where there are any.
        differences: run -> metric -> paired difference to the first run
            (:func:`asl.metrics.significance.compare`).
        facts: provenance, for the foot of the page.
    """

    title: str
    evaluations: Mapping[str, Evaluation]
    pairs: Mapping[str, ScoredPairs]
    truth: TruthPairs
    queries: QueryEmbeddings | None = None
    references: ReferenceEmbeddings | None = None
    query_images: Catalog | None = None
    reference_images: Catalog | None = None
    norms: Directional | None = None
    differences: Differences = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def chosen(self) -> str:
        """Run with the best µAP, which breakdowns and gallery show."""
        return max(
            self.evaluations,
            key=lambda run: (self.evaluations[run].uap, self.evaluations[run].recall_at_p90),
        )


def write_report(path: str | Path, report: Report) -> None:
    """Write ``<path>`` (HTML) and, beside it, a ``.md`` file, ``metrics.json`` and the curves."""
    path = Path(path)
    if report.norms is None and report.queries is not None and report.references is not None:
        norms = _norms(report.pairs, report.truth, report.queries, report.references)
        report = replace(report, norms=norms)
    with recorded(path), atomic_text(path) as file:
        file.write(page(report))
    text = path.with_suffix(".md")
    with recorded(text), atomic_text(text) as file:
        file.write(markdown(report))
    write_curves(path.with_name(CURVE_FILE), report.evaluations)
    plain = json.loads(json.dumps(document(report), default=str))
    write_json(path.with_name("metrics.json"), plain)


def _norms(
    pairs: Mapping[str, ScoredPairs],
    truth: TruthPairs,
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
) -> Directional | None:
    """Compute the directional numbers; None for unit vectors, which have lost their norms."""
    if max(np.ptp(queries.log_norms), np.ptp(references.log_norms)) <= LEAST_NORM_RANGE:
        return None
    return directional(truth, queries, references, hard=next(iter(pairs.values())))


def page(report: Report) -> str:
    """Render the HTML document; it loads nothing, and its policy tells the browser so."""
    evaluations, chosen = report.evaluations, report.chosen
    first = next(iter(evaluations))
    best, base = evaluations[chosen], evaluations[first]
    counts = best.counts
    return render(
        "report.html",
        title=report.title,
        evaluations=evaluations,
        chosen=chosen,
        first=first,
        counts=counts,
        candidate_share=counts["found"] / max(counts["true_pairs"], 1),
        columns=shown_columns(evaluations),
        labels=COLUMNS,
        lower_is_better=LOWER_IS_BETTER,
        intervals=shown_intervals(evaluations),
        table_note=table_note(evaluations),
        differences=difference_values(report.differences),
        curve_file=CURVE_FILE,
        kinds_note=KINDS_NOTE,
        curves=Markup(curves_plot(evaluations, chosen)),
        norms=report.norms,
        norm_histogram=Markup(norm_histogram(report.norms)),
        score_rows=Markup(score_plot(best, report.pairs[chosen], report.truth)),
        breakdowns=_breakdowns(best, base, report.norms),
        galleries=_galleries(report),
        facts={name: _fact(value) for name, value in report.facts.items()},
        bar=_bar,
        digits=digits,
    )


def _bar(
    share: float | None,
    *,
    text: str,
    interval: Range | None = None,
    before: float | None = None,
    worse: bool = False,
) -> Markup:
    return Markup(bar(share, text=text, interval=interval, before=before, worse=worse))


def _fact(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _breakdowns(best: Evaluation, base: Evaluation, norms: Directional | None) -> list[Breakdown]:
    """Break the chosen run down by kind and by group, beside the first run."""
    is_first = base is best
    breakdowns = []
    if best.by_kind:
        kinds = {} if is_first else base.by_kind
        breakdowns.append(breakdown("By kind of query", best.by_kind, kinds, norms))
    if best.by_group:
        groups = {} if is_first else base.by_group
        breakdowns.append(breakdown("By group", best.by_group, groups))
    return breakdowns


def _galleries(report: Report) -> list[CardGallery]:
    if report.query_images is None or report.reference_images is None:
        return []
    return mistake_galleries(
        report.chosen,
        report.evaluations[report.chosen].threshold,
        report.pairs,
        report.truth,
        embeddings=(report.queries, report.references),
        images=(report.query_images, report.reference_images),
    )


def document(report: Report) -> dict[str, Any]:
    """Build ``metrics.json``.

    Returns:
        ``scores`` (run -> numbers), ``directional``, ``differences``, ``context``; the numbers of
        a single run are also at the top level.
    """
    evaluations = list(report.evaluations.values())
    return {
        **(evaluations[0].to_json() if len(evaluations) == 1 else {}),
        "scores": {name: evaluation.to_json() for name, evaluation in report.evaluations.items()},
        "directional": report.norms.to_json() if report.norms else None,
        "differences": {
            run: {
                name: {
                    "value": difference.value,
                    "interval": [difference.interval.low, difference.interval.high],
                    "p": difference.p_value,
                }
                for name, difference in metrics.items()
            }
            for run, metrics in report.differences.items()
        },
        "context": dict(report.facts),
    }


def markdown(report: Report) -> str:
    """Render the same tables in Markdown, without plots and pictures."""
    chosen, norms = report.evaluations[report.chosen], report.norms
    parts = [f"# {markdown_text(report.title)}\n", markdown_table(report.evaluations)]
    if report.differences:
        first = next(iter(report.evaluations))
        parts += [
            f"## Difference to {markdown_text(first)}\n",
            markdown_rows(difference_rows(report.differences)),
        ]
    if norms is not None:
        hard = "" if norms.auroc_hard is None else f", true/hard {norms.auroc_hard:.3f}"
        parts.append(
            f"Norm-order accuracy {norms.norm_order_accuracy:.3f}, "
            f"AUROC true/reversed {norms.auroc_reversed:.3f}{hard}, "
            f"µAP over both directions {norms.uap_both:.3f}.\n"
        )
    for title, results in (("kind", chosen.by_kind), ("group", chosen.by_group)):
        if results:
            parts += [
                f"## By {title} ({markdown_text(report.chosen)})\n",
                markdown_rows(kind_rows(results, head=title)),
                f"{KINDS_NOTE}\n",
            ]
    parts += [
        f"Precision over recall: {CURVE_FILE}.\n",
        "## How this was made\n",
        *[
            f"- {markdown_text(str(name))}: {markdown_text(str(value))}"
            for name, value in report.facts.items()
        ],
        "",
    ]
    return "\n".join(parts)
