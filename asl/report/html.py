"""The report: one self-contained HTML file, with Markdown and JSON twins beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from asl.data.catalog import Catalog
from asl.metrics.directional import Directional, directional
from asl.metrics.evaluation import Evaluation
from asl.metrics.significance import Difference
from asl.report.headline_table import difference_rows, kind_rows, markdown_rows, markdown_table
from asl.report.sections import (
    difference_section,
    foot,
    gallery_section,
    headline,
    kind_section,
    plots_section,
    score_section,
)
from asl.report.style import STYLE
from asl.storage import atomic_text
from asl.types import Embeddings, QueryEmbeddings, ReferenceEmbeddings, ScoredPairs, TruthPairs

Differences = Mapping[str, Mapping[str, Difference]]


@dataclass(frozen=True, eq=False)
class Material:
    """Everything that a page shows.

    Attributes:
        title: of the page.
        evaluations: name of a run -> its numbers; the first is what the others are compared with.
        pairs: name of a run -> its predictions.
        truth: of all of them.
        chosen: the run that breakdowns and the gallery show.
        norms: the directional numbers, where there are embeddings.
        queries: for the norms in the gallery.
        references: for the norms in the gallery.
        query_images: for the gallery.
        reference_images: for the gallery.
        remarks: (query, reference) -> what a second stage said of the pair.
        differences: run -> metric -> paired difference to the first run.
        facts: how the numbers came about.
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
    """Write ``<path>`` (HTML) and, beside it, its ``.md`` twin and ``metrics.json``.

    Args:
        path: ``report.html``.
        title: of the page.
        evaluations: name of a score -> its numbers; the first is what the others are compared with.
        pairs: name of a score -> its predictions; the same names.
        truth: of all of them.
        queries: embeddings; where both sides are given, there is a section on the norms.
        references: embeddings.
        query_images: for the gallery, which is left out without images.
        reference_images: for the gallery.
        remarks: (query, reference) -> what a second stage said of the pair, for the gallery.
        differences: run -> metric -> paired difference to the first run
            (:func:`asl.metrics.significance.compare`).
        context: facts for the foot of the page; a :class:`Directional` named ``directional`` is
            used as it is.
    """
    path = Path(path)
    facts = dict(context or {})
    norms: Directional | None = facts.pop("directional", None)
    if (
        norms is None
        and queries is not None
        and references is not None
        and _has_lengths(queries, references)
    ):
        norms = directional(truth, queries, references, hard=next(iter(pairs.values())))
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


def _has_lengths(*sides: Embeddings) -> bool:
    """Whether the norms say anything: descriptors that were stored with length 1 have none."""
    return any(np.ptp(side.log_norms) > 1e-2 for side in sides)


def page(material: Material) -> str:
    """The HTML document: nothing in it is loaded from elsewhere, and its policy says so to the browser."""
    sections = [
        headline(material.title, material.evaluations, material.chosen),
        difference_section(material.differences, next(iter(material.evaluations))),
        plots_section(material.evaluations, material.chosen, material.norms),
        score_section(
            material.evaluations[material.chosen], material.pairs[material.chosen], material.truth
        ),
        _breakdowns(material),
        _gallery(material),
        foot(material.facts),
    ]
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        f"<!doctype html><html lang=en><head><meta charset=utf-8>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>{escape(material.title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(sections)}</main></body></html>\n"
    )


def _breakdowns(material: Material) -> str:
    chosen, (name, first) = (
        material.evaluations[material.chosen],
        next(iter(material.evaluations.items())),
    )
    note = f"{escape(material.chosen)}; found and wrongly matched at the threshold."
    other = first is not chosen
    note += f" Strokes: {escape(name)}." * other
    kinds = kind_section(
        "By kind of query",
        chosen.by_kind,
        first.by_kind if other else {},
        note=note,
        norms=material.norms,
    )
    groups = kind_section(
        "By group", chosen.by_group, first.by_group if other else {}, note=note, norms=None
    )
    return kinds + groups


def _gallery(material: Material) -> str:
    if material.query_images is None or material.reference_images is None:
        return ""
    return gallery_section(
        material.chosen,
        material.evaluations[material.chosen],
        material.pairs,
        material.truth,
        embeddings=(material.queries, material.references),
        images=(material.query_images, material.reference_images),
        remarks=material.remarks,
    )


def document(material: Material) -> dict[str, Any]:
    """What ``metrics.json`` holds: ``scores`` (run -> numbers), ``directional``, ``differences``, ``context``.

    With a single run its numbers stand at the top level, too.
    """
    evaluations = list(material.evaluations.values())
    return {
        **(evaluations[0].to_json() if len(evaluations) == 1 else {}),
        "scores": {name: evaluation.to_json() for name, evaluation in material.evaluations.items()},
        "directional": material.norms.to_json() if material.norms else None,
        "differences": {
            run: {
                name: {
                    "value": d.value,
                    "interval": [d.interval.low, d.interval.high],
                    "p": d.p_value,
                }
                for name, d in metrics.items()
            }
            for run, metrics in material.differences.items()
        },
        "context": dict(material.facts),
    }


def write_metrics(path: Path, material: Material) -> None:
    """Write :func:`document` as JSON."""
    with atomic_text(path) as file:
        json.dump(document(material), file, indent=1, default=str, allow_nan=False)


def markdown(material: Material) -> str:
    """The Markdown twin: the same tables, without plots and pictures."""
    chosen, norms = material.evaluations[material.chosen], material.norms
    parts = [f"# {material.title}\n", markdown_table(material.evaluations)]
    if material.differences:
        first = next(iter(material.evaluations))
        parts += [
            f"## Difference to {first}\n",
            markdown_rows(difference_rows(material.differences)),
        ]
    if norms is not None:
        hard = "" if norms.auroc_hard is None else f", true/hard {norms.auroc_hard:.3f}"
        parts.append(
            f"Norm-order accuracy {norms.norm_order_accuracy:.3f}, AUROC true/reversed {norms.auroc_reversed:.3f}{hard}"
            f", µAP over both directions {norms.uap_both:.3f}.\n"
        )
    for title, breakdown in (("kind", chosen.by_kind), ("group", chosen.by_group)):
        if breakdown:
            parts += [
                f"## By {title} ({material.chosen})\n",
                markdown_rows(kind_rows(breakdown, head=title)),
            ]
    parts += [
        "## How this was made\n",
        *[f"- {name}: {value}" for name, value in material.facts.items()],
        "",
    ]
    return "\n".join(parts)
