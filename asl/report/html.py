"""Write the report of an evaluation: one self-contained HTML page, a Markdown and a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from asl.data.catalog import Catalog
from asl.metrics.directional import Directional, directional
from asl.metrics.evaluation import Evaluation
from asl.metrics.significance import Difference
from asl.report.headline_table import (
    COLUMNS,
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
from asl.storage import atomic_text, write_json
from asl.types import QueryEmbeddings, ReferenceEmbeddings, ScoredPairs, TruthPairs

LEAST_NORM_RANGE = 1e-2  # of log-norms
Differences = Mapping[str, Mapping[str, Difference]]


@dataclass(frozen=True, eq=False)
class Material:
    """Input of a report.

    Attributes:
        title: of the page.
        evaluations: run -> numbers; the others are compared with the first.
        pairs: run -> predictions.
        truth: ground truth of all runs.
        chosen: run that breakdowns and gallery show.
        norms: directional numbers, where there are embeddings.
        queries: embeddings, for the norms in the gallery.
        references: embeddings, for the norms in the gallery.
        query_images: for the gallery.
        reference_images: for the gallery.
        remarks: (query, reference) -> remark of a second stage.
        differences: run -> metric -> paired difference to the first run.
        facts: provenance, for the foot of the page.
    """

    title: str
    evaluations: Mapping[str, Evaluation]
    pairs: Mapping[str, ScoredPairs]
    truth: TruthPairs
    chosen: str
    norms: Directional | None = None
    queries: QueryEmbeddings | None = None
    references: ReferenceEmbeddings | None = None
    query_images: Catalog | None = None
    reference_images: Catalog | None = None
    remarks: Mapping[tuple[str, str], str] = field(default_factory=dict)
    differences: Differences = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def write_report(
    path: str | Path,
    *,
    title: str,
    evaluations: Mapping[str, Evaluation],
    pairs: Mapping[str, ScoredPairs],
    truth: TruthPairs,
    queries: QueryEmbeddings | None = None,
    references: ReferenceEmbeddings | None = None,
    query_images: Catalog | None = None,
    reference_images: Catalog | None = None,
    remarks: Mapping[tuple[str, str], str] | None = None,
    differences: Differences | None = None,
    context: Mapping[str, Any] | None = None,
) -> None:
    """Write ``<path>`` (HTML) and, beside it, a ``.md`` file and ``metrics.json``.

    Args:
        path: of the page, ``report.html``.
        title: of the page.
        evaluations: run -> numbers; the others are compared with the first.
        pairs: run -> predictions; the same runs.
        truth: ground truth of all runs.
        queries: embeddings; with both sides there is a section on the norms.
        references: embeddings.
        query_images: for the gallery, which needs the images of both sides.
        reference_images: for the gallery.
        remarks: (query, reference) -> remark of a second stage, for the gallery.
        differences: run -> metric -> paired difference to the first run
            (:func:`asl.metrics.significance.compare`).
        context: provenance for the foot of the page; a :class:`Directional` under the key
            ``directional`` is used instead of computing one.
    """
    path = Path(path)
    facts = dict(context or {})
    norms: Directional | None = facts.pop("directional", None)
    if norms is None and queries is not None and references is not None:
        norms = _norms(pairs, truth, queries, references)
    chosen = max(
        evaluations, key=lambda name: (evaluations[name].uap, evaluations[name].recall_at_p90)
    )
    material = Material(
        title,
        evaluations,
        pairs,
        truth,
        chosen,
        norms,
        queries,
        references,
        query_images,
        reference_images,
        remarks or {},
        differences or {},
        facts,
    )
    with atomic_text(path) as file:
        file.write(page(material))
    with atomic_text(path.with_suffix(".md")) as file:
        file.write(markdown(material))
    write_metrics(path.with_name("metrics.json"), material)


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


def page(material: Material) -> str:
    """Render the HTML document; it loads nothing, and its policy tells the browser so."""
    evaluations, chosen = material.evaluations, material.chosen
    first = next(iter(evaluations))
    best, base = evaluations[chosen], evaluations[first]
    counts = best.counts
    return render(
        "report.html",
        title=material.title,
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
        differences=difference_values(material.differences),
        curves=Markup(curves_plot(evaluations, chosen)),
        norms=material.norms,
        norm_histogram=Markup(norm_histogram(material.norms)),
        score_rows=Markup(score_plot(best, material.pairs[chosen], material.truth)),
        breakdowns=_breakdowns(best, base, material.norms),
        galleries=_galleries(material),
        facts={name: _fact(value) for name, value in material.facts.items()},
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


def _galleries(material: Material) -> list[CardGallery]:
    if material.query_images is None or material.reference_images is None:
        return []
    return mistake_galleries(
        material.chosen,
        material.evaluations[material.chosen].threshold,
        material.pairs,
        material.truth,
        embeddings=(material.queries, material.references),
        images=(material.query_images, material.reference_images),
        remarks=material.remarks,
    )


def document(material: Material) -> dict[str, Any]:
    """Build ``metrics.json``.

    Returns:
        ``scores`` (run -> numbers), ``directional``, ``differences``, ``context``; the numbers of
        a single run are also at the top level.
    """
    evaluations = list(material.evaluations.values())
    return {
        **(evaluations[0].to_json() if len(evaluations) == 1 else {}),
        "scores": {name: evaluation.to_json() for name, evaluation in material.evaluations.items()},
        "directional": material.norms.to_json() if material.norms else None,
        "differences": {
            run: {
                name: {
                    "value": difference.value,
                    "interval": [difference.interval.low, difference.interval.high],
                    "p": difference.p_value,
                }
                for name, difference in metrics.items()
            }
            for run, metrics in material.differences.items()
        },
        "context": dict(material.facts),
    }


def write_metrics(path: Path, material: Material) -> None:
    """Write :func:`document` as JSON."""
    write_json(path, json.loads(json.dumps(document(material), default=str)))


def markdown(material: Material) -> str:
    """Render the same tables in Markdown, without plots and pictures."""
    chosen, norms = material.evaluations[material.chosen], material.norms
    parts = [f"# {markdown_text(material.title)}\n", markdown_table(material.evaluations)]
    if material.differences:
        first = next(iter(material.evaluations))
        parts += [
            f"## Difference to {markdown_text(first)}\n",
            markdown_rows(difference_rows(material.differences)),
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
                f"## By {title} ({markdown_text(material.chosen)})\n",
                markdown_rows(kind_rows(results, head=title)),
            ]
    parts += [
        "## How this was made\n",
        *[
            f"- {markdown_text(str(name))}: {markdown_text(str(value))}"
            for name, value in material.facts.items()
        ],
        "",
    ]
    return "\n".join(parts)
