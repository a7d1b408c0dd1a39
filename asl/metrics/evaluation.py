"""Evaluate predictions against the truth: headline metrics, intervals and breakdowns in one call.

The rules (one global ranking, ties count against, recall over all true pairs) are those of
:mod:`asl.metrics.average_precision`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from asl.metrics.average_precision import (
    Ranking,
    average_precision,
    precision_recall_curve,
    rank,
    recall_at_precision,
)
from asl.metrics.breakdown import KindResult, breakdown
from asl.metrics.hard_false_matches import hard_false_matches
from asl.metrics.intervals import Interval, PerQuerySums, bootstrap_replicates
from asl.metrics.per_query import (
    PerQuery,
    accuracy_at_1,
    group_by_query,
    hits_at,
    mean_average_precision,
    query_average_precision,
    recall_at,
)
from asl.types import F64, AslError, ScoredPairs, StrArray, TruthPairs

PRECISION_LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
_CURVE_POINTS = 400


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Metrics of one run; rates are 0..1.

    Attributes:
        uap: micro average precision over the global ranking.
        recall_at_p90: best recall with precision >= 0.9; 0 where it is never reached.
        threshold_at_p90: the score there; None where it is never reached.
        recall_at_1: share of true pairs whose reference is the query's first.
        recall_at_10: share of true pairs whose reference is among the first ten.
        accuracy_at_1: share of queries with a match whose first prediction is true.
        mean_ap: macro mAP, rectangles.
        mean_ap_trapezoid: macro mAP as Copydays and Holidays report it.
        counts: ``queries``, ``queries_with_match``, ``true_pairs``, ``predictions``, ``found``.
        recalls: precision -> (recall, threshold or None) at other precisions.
        by_kind: kind of query -> its metrics at the operating threshold.
        by_group: the same for a grouping of the caller's; empty where none was given.
        precision: precision whose threshold is the operating threshold.
        threshold: the operating threshold; None where the precision is never reached.
        hard_false_match_rate: share of hard-negative queries that match something at the operating
            threshold; None without such queries or without a threshold.
        intervals: name -> 95 % bootstrap interval over queries; empty where they are off.
        curve: recall, precision and score at about 400 points of the ranking, for drawing; not in
            the JSON form.
    """

    uap: float
    recall_at_p90: float
    threshold_at_p90: float | None
    recall_at_1: float
    recall_at_10: float
    accuracy_at_1: float
    mean_ap: float
    mean_ap_trapezoid: float
    counts: Mapping[str, int]
    recalls: Mapping[float, tuple[float, float | None]] = field(default_factory=dict)
    by_kind: Mapping[str, KindResult] = field(default_factory=dict)
    by_group: Mapping[str, KindResult] = field(default_factory=dict)
    precision: float = 0.9
    threshold: float | None = None
    hard_false_match_rate: float | None = None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    curve: tuple[F64, F64, F64] = field(
        default_factory=lambda: (np.empty(0), np.empty(0), np.empty(0))
    )

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values; scripts rely on the names of the headline metrics."""
        return {
            "uap": self.uap,
            "recall_at_p90": self.recall_at_p90,
            "threshold_at_p90": self.threshold_at_p90,
            "recall_at_1": self.recall_at_1,
            "recall_at_10": self.recall_at_10,
            "accuracy_at_1": self.accuracy_at_1,
            "mean_ap": self.mean_ap,
            "mean_ap_trapezoid": self.mean_ap_trapezoid,
            "hard_false_match_rate": self.hard_false_match_rate,
            "counts": dict(self.counts),
            "recalls": {
                f"{p:g}": {"recall": r, "threshold": t} for p, (r, t) in self.recalls.items()
            },
            "operating_point": {"precision": self.precision, "threshold": self.threshold},
            "by_kind": {kind: result.to_json() for kind, result in self.by_kind.items()},
            "by_group": {group: result.to_json() for group, result in self.by_group.items()},
            "intervals": {
                name: [interval.low, interval.high] for name, interval in self.intervals.items()
            },
        }


def evaluate(
    pairs: ScoredPairs,
    truth: TruthPairs,
    *,
    bootstrap: int = 0,
    seed: int = 0,
    precision: float = 0.9,
    groups: Mapping[str, str] | None = None,
) -> Evaluation:
    """Evaluate predictions against the truth.

    Args:
        pairs: predictions in any order; queries that the truth does not list count as queries
            without a match.
        truth: true pairs, all queries, and (where known) their kinds.
        bootstrap: replicates of the intervals; 0 leaves them out.
        seed: of the bootstrap.
        precision: the operating threshold is the lowest that reaches it; breakdowns and false-match
            rates use it.
        groups: query id -> group, for a breakdown besides the one by kind (source album, difficulty
            ...).

    Raises:
        AslError: there is no true pair, a pair is predicted twice, or the precision is outside
            0..1.

    >>> truth = TruthPairs.from_pairs([("crop", "photo")], other_queries=["noise"])
    >>> pairs = ScoredPairs.from_ids(["crop", "noise"], ["photo", "photo"], [0.9, 0.3])
    >>> result = evaluate(pairs, truth)
    >>> result.uap, result.recall_at_p90, result.threshold
    (1.0, 1.0, 0.9)
    """
    if not 0 < precision <= 1:
        raise AslError(f"precision: must be in (0, 1], got {precision}; 0.9 is usual")
    ranking = rank(pairs, truth)
    by_query = group_by_query(ranking)
    levels = sorted({*PRECISION_LEVELS, precision})
    points = {level: recall_at_precision(ranking, level) for level in levels}
    threshold = points[precision].threshold
    sums = per_query_sums(by_query)
    hard = hard_false_matches(ranking, truth, threshold)
    if hard is not None:
        sums["hard_false_match_rate"] = hard
    broken_down = partial(breakdown, ranking, threshold=threshold, bootstrap=bootstrap, seed=seed)
    return Evaluation(
        uap=average_precision(ranking),
        recall_at_p90=points[0.9].recall,
        threshold_at_p90=points[0.9].threshold,
        recall_at_1=recall_at(by_query, 1),
        recall_at_10=recall_at(by_query, 10),
        accuracy_at_1=accuracy_at_1(by_query),
        mean_ap=mean_average_precision(by_query),
        mean_ap_trapezoid=mean_average_precision(by_query, area="trapezoid"),
        counts=_counts(ranking, pairs),
        recalls={level: (point.recall, point.threshold) for level, point in points.items()},
        by_kind=broken_down(truth.kinds),
        by_group=broken_down(groups or {}),
        precision=precision,
        threshold=threshold,
        hard_false_match_rate=None if hard is None else float(hard[0].sum() / hard[1].sum()),
        intervals=_intervals(ranking, sums, bootstrap, seed) if bootstrap else {},
        curve=_thin_curve(ranking, keep=[point.recall for point in points.values()]),
    )


def _thin_curve(ranking: Ranking, *, keep: list[float]) -> tuple[F64, F64, F64]:
    """Return the curve at evenly spread positives and at the recalls in ``keep``."""
    recall, precision, scores = precision_recall_curve(ranking)
    chosen = np.linspace(0, max(len(recall) - 1, 0), _CURVE_POINTS).astype(np.int64)
    exact = np.searchsorted(recall, np.array(keep) - 1e-12)
    rows = np.unique(np.concatenate([chosen, exact]))
    rows = rows[rows < len(recall)]
    return recall[rows], precision[rows], scores[rows]


def _counts(ranking: Ranking, pairs: ScoredPairs) -> dict[str, int]:
    return {
        "queries": len(ranking.queries),
        "queries_with_match": len(np.unique(ranking.truth_index)),
        "true_pairs": ranking.truth_count,
        "predictions": len(pairs),
        "found": int(ranking.labels.sum()),
    }


def _intervals(
    ranking: Ranking, sums: PerQuerySums, replicates: int, seed: int
) -> dict[str, Interval]:
    draws = bootstrap_replicates(ranking, sums, replicates=replicates, seed=seed)
    return {name: Interval.of(values) for name, values in draws.items()}


def per_query_sums(groups: PerQuery) -> PerQuerySums:
    """Express metrics as ratios of sums over queries, which a bootstrap can redraw.

    Args:
        groups: see :func:`asl.metrics.per_query.group_by_query`.

    Returns:
        name -> (numerator ``[Q]``, denominator ``[Q]``).

    >>> truth = TruthPairs.from_pairs([("q1", "r1"), ("q2", "r2")])
    >>> ranking = rank(ScoredPairs.from_ids(["q1", "q2"], ["r1", "r9"], [0.9, 0.8]), truth)
    >>> numerator, denominator = per_query_sums(group_by_query(ranking))["recall_at_1"]
    >>> numerator.tolist(), denominator.tolist()
    ([1, 0], [1, 1])
    """
    matched = (groups.truth_count > 0).astype(np.int64)
    first_is_true = np.zeros(len(matched), dtype=np.int64)
    first_is_true[groups.query_index[groups.labels & (groups.place == 0)]] = 1
    return {
        "recall_at_1": (hits_at(groups, 1), groups.truth_count),
        "recall_at_10": (hits_at(groups, 10), groups.truth_count),
        "accuracy_at_1": (first_is_true, matched),
        "mean_ap": (np.nan_to_num(query_average_precision(groups)), matched),
    }


def missing_predictions(pairs: ScoredPairs, truth: TruthPairs) -> StrArray:
    """List the truth's queries that have no prediction: often a sign of another id format.

    >>> truth = TruthPairs.from_pairs([("q1", "r1"), ("q2", "r2")])
    >>> missing_predictions(ScoredPairs.from_ids(["q1"], ["r1"], [0.9]), truth).tolist()
    ['q2']
    """
    return np.setdiff1d(truth.queries, pairs.queries[np.unique(pairs.query_index)])
