"""Compute the values of every section of the report page; ``report.html`` lays them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asl.data.catalog import Catalog
from asl.metrics.average_precision import label_pairs
from asl.metrics.breakdown import FEW_QUERIES, KindResult
from asl.metrics.directional import Directional
from asl.metrics.evaluation import Evaluation
from asl.metrics.intervals import proportion_interval
from asl.metrics.significance import Difference
from asl.report.headline_table import BREAKDOWN_METRICS, COLUMNS, digits, kind_cell
from asl.report.mistakes import (
    Case,
    norm_lookup,
    scores_of,
    thumbnails,
    worst_false_matches,
    worst_misses,
)
from asl.report.svg import Range, box_rows, histogram, line_plot
from asl.types import F64, QueryEmbeddings, ReferenceEmbeddings, ScoredPairs, TruthPairs

GALLERY_CASES = 12  # of each kind of mistake


def shown_columns(evaluations: Mapping[str, Evaluation]) -> list[str]:
    """List the columns of the headline table that have a value in any run."""
    return [
        name
        for name in COLUMNS
        if any(getattr(evaluation, name) is not None for evaluation in evaluations.values())
    ]


def shown_intervals(
    evaluations: Mapping[str, Evaluation],
) -> dict[str, dict[str, Range | None]]:
    """Return run -> column -> (low, high) of the 95 % interval, None without one."""
    return {
        run: {name: _interval(evaluation, name) for name in COLUMNS}
        for run, evaluation in evaluations.items()
    }


def _interval(evaluation: Evaluation, name: str) -> Range | None:
    interval = evaluation.intervals.get(name)
    if interval is None or getattr(evaluation, name) is None:
        return None
    return interval.low, interval.high


def table_note(evaluations: Mapping[str, Evaluation]) -> str:
    """Explain the headline table."""
    notes = []
    if len(evaluations) > 1:
        notes.append("The marked run has the best µAP; breakdowns and pictures below are its own.")
    if any(evaluation.intervals for evaluation in evaluations.values()):
        notes.append("Small numbers: 95 % bootstrap interval over queries.")
    if "hard_false_match_rate" in shown_columns(evaluations):
        notes.append(
            "Hard negatives matched: look-alike and reverse queries with a match at the threshold; "
            "lower is better."
        )
    return " ".join([*notes, "Threshold: lowest score that holds 90 % precision."])


@dataclass(frozen=True)
class DifferenceRow:
    """Paired difference of one metric to the first run.

    Attributes:
        run: name of the run.
        metric: label.
        value: difference.
        low: end of the 95 % interval.
        high: end of the 95 % interval.
        p_value: two-sided.
        word: ``better``, ``worse`` or ``unsure``.
    """

    run: str
    metric: str
    value: float
    low: float
    high: float
    p_value: float
    word: str


def difference_values(differences: Mapping[str, Mapping[str, Difference]]) -> list[DifferenceRow]:
    """List the paired differences to the first run."""
    rows = []
    for run, metrics in differences.items():
        for name, difference in metrics.items():
            interval = difference.interval
            sure = interval.low > 0 or interval.high < 0
            word = ("better" if difference.value > 0 else "worse") if sure else "unsure"
            rows.append(
                DifferenceRow(
                    run,
                    COLUMNS.get(name, name),
                    difference.value,
                    interval.low,
                    interval.high,
                    difference.p_value,
                    word,
                )
            )
    return rows


def curves_plot(evaluations: Mapping[str, Evaluation], chosen: str) -> str:
    """Plot precision over recall of every run, with a dot at R@P90."""
    curves = {name: evaluation.curve[:2] for name, evaluation in evaluations.items()}
    marks = {}
    for name, (recall, precision) in curves.items():
        if evaluations[name].threshold_at_p90 is not None:
            at = int(np.searchsorted(recall, evaluations[name].recall_at_p90 - 1e-12))
            marks[name] = (float(recall[at]), float(precision[at]))
    return line_plot(
        curves, x_label="recall", y_label="precision", strong=chosen, level=0.9, marks=marks
    )


def norm_histogram(norms: Directional | None) -> str:
    """Plot the log-norm differences of true, reversed and hard pairs."""
    if norms is None:
        return ""
    label = "ln |f(reference)| − ln |f(query)|"
    return histogram(norms.differences, x_label=label, zero="equal norms")


def score_plot(evaluation: Evaluation, pairs: ScoredPairs, truth: TruthPairs) -> str:
    """Plot the scores of true pairs by edit, and of the best false pair of unmatched queries."""
    if not truth.kinds:
        return ""
    labels = label_pairs(pairs, truth)
    with_match = {truth.kinds.get(query, "unknown") for query in truth.query_ids.tolist()}
    kinds = np.array([truth.kinds.get(query, "unknown") for query in pairs.queries.tolist()])
    scores: dict[str, F64] = {}
    for kind in np.unique(kinds).tolist():
        best = np.full(len(pairs.queries), -np.inf)
        of_kind = (kinds == kind)[pairs.query_index]
        rows = np.flatnonzero((labels == (kind in with_match)) & of_kind)
        np.maximum.at(best, pairs.query_index[rows], pairs.scores[rows])
        if len(rows):
            scores[kind] = best[np.isfinite(best)]
    if not scores:
        return ""
    ordered = sorted(
        scores, key=lambda kind: (kind not in with_match, float(np.median(scores[kind])))
    )
    return box_rows(
        {kind: scores[kind] for kind in ordered},
        x_label="score",
        colour={kind: int(kind not in with_match) for kind in ordered},
        line=evaluation.threshold,
        line_label=f"threshold at {evaluation.precision:.0%} precision",
    )


@dataclass(frozen=True)
class BreakdownCell:
    """One number of a breakdown.

    Attributes:
        value: of the chosen run.
        text: the number, or a count where the queries are few.
        before: of the first run.
        worse: True if more is worse.
        interval: of 95 %; None without one, and of few queries.
        is_small: the queries are too few for a rate.
    """

    value: float | None
    text: str
    before: float | None = None
    worse: bool = False
    interval: Range | None = None
    is_small: bool = False


@dataclass(frozen=True)
class BreakdownRow:
    """One kind or group of queries."""

    name: str
    queries: int
    cells: Sequence[BreakdownCell]


@dataclass(frozen=True)
class Breakdown:
    """A table by kind or group; ``has_norms`` adds the share of norms in the right order."""

    title: str
    rows: Sequence[BreakdownRow]
    has_norms: bool = False


def breakdown(
    title: str,
    results: Mapping[str, KindResult],
    first: Mapping[str, KindResult],
    norms: Directional | None = None,
) -> Breakdown:
    """Compare a breakdown of the chosen run with the first run.

    Args:
        title: of the section.
        results: of the chosen run.
        first: of the first run; empty if that is the chosen one.
        norms: directional numbers.
    """
    order = norms.by_kind if norms else {}
    rows = []
    # Kinds with true pairs first.
    for name, result in sorted(
        results.items(), key=lambda item: (item[1].true_pairs == 0, item[0])
    ):
        cells = [_kind_cell(result, first.get(name), metric) for metric in BREAKDOWN_METRICS]
        if order:
            cells.append(_order_cell(*order.get(name, (None, 0))))
        rows.append(BreakdownRow(name, result.queries, cells))
    return Breakdown(title, rows, bool(order))


def _kind_cell(result: KindResult, before: KindResult | None, metric: str) -> BreakdownCell:
    interval = None if result.is_small else result.intervals.get(metric)
    return BreakdownCell(
        getattr(result, metric),
        kind_cell(result, metric),
        getattr(before, metric, None),
        metric == "false_match_rate",
        (interval.low, interval.high) if interval else None,
        result.is_small,
    )


def _order_cell(share: float | None, pairs: int) -> BreakdownCell:
    """Show the share of true pairs whose norms are in the right order."""
    if share is None or not pairs:
        return BreakdownCell(None, digits(None))
    if pairs < FEW_QUERIES:
        return BreakdownCell(share, f"{round(share * pairs)} of {pairs}", is_small=True)
    interval = proportion_interval(share, pairs)
    return BreakdownCell(share, digits(share), interval=(interval.low, interval.high))


@dataclass(frozen=True)
class CardSide:
    """One image of a card.

    Attributes:
        name: id.
        source: data: address of the thumbnail; empty without an image.
        log_norm: ln |f|; None without an embedding.
    """

    name: str
    source: str
    log_norm: float | None


@dataclass(frozen=True)
class Card:
    """One mistake: two images and what is known of the pair."""

    query: CardSide
    reference: CardSide
    arrow: str
    kind: str
    lines: Sequence[str]
    scores: Mapping[str, float]


@dataclass(frozen=True)
class CardGallery:
    """Cards under a heading."""

    title: str
    cards: Sequence[Card]


def mistake_galleries(
    chosen: str,
    threshold: float | None,
    pairs: Mapping[str, ScoredPairs],
    truth: TruthPairs,
    *,
    embeddings: tuple[QueryEmbeddings | None, ReferenceEmbeddings | None],
    images: tuple[Catalog, Catalog],
) -> list[CardGallery]:
    """Collect the surest false matches and the worst misses.

    Args:
        chosen: name of the run whose mistakes are shown.
        threshold: on its scores.
        pairs: predictions of every run, for their scores.
        truth: ground truth.
        embeddings: of queries and references, for the norms.
        images: of queries and references.
    """
    cases = {
        "The surest false matches": worst_false_matches(
            pairs[chosen], truth, threshold=threshold, count=GALLERY_CASES
        ),
        "True pairs that were missed": worst_misses(
            pairs[chosen], truth, threshold=threshold, count=GALLERY_CASES
        ),
    }
    scores = scores_of(pairs, [case.pair for listed in cases.values() for case in listed])
    query_source, reference_source = thumbnails(images[0]), thumbnails(images[1])
    query_norm, reference_norm = norm_lookup(embeddings[0]), norm_lookup(embeddings[1])

    def card(case: Case) -> Card:
        query = CardSide(case.query, query_source(case.query), query_norm(case.query))
        reference = CardSide(
            case.reference, reference_source(case.reference), reference_norm(case.reference)
        )
        arrow, direction = _norm_direction(query.log_norm, reference.log_norm)
        lines = [line for line in (case.verdict, direction) if line]
        return Card(
            query,
            reference,
            arrow,
            truth.kinds.get(case.query, ""),
            lines,
            scores[case.pair],
        )

    return [CardGallery(title, [card(case) for case in listed]) for title, listed in cases.items()]


def _norm_direction(query: float | None, reference: float | None) -> tuple[str, str]:
    """Return an arrow from original to copy, and the words for it."""
    if query is None or reference is None:
        return "", ""
    if query <= reference:
        return "←", "norms: the query may come from the reference"
    return "→", "norms: the query holds more"
