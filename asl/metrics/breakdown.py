"""Break the metrics down by kind of query, with an interval for each number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from asl.metrics.average_precision import Ranking, average_precision
from asl.metrics.intervals import Interval, bootstrap_replicates, proportion_interval
from asl.metrics.per_query import group_by_query, recall_at
from asl.types import Bools

FEW_QUERIES = 8  # of fewer, counts say more than rates: an interval would span half of 0..1


@dataclass(frozen=True)
class KindResult:
    """Metrics of one kind of query at the operating threshold; rates are 0..1.

    Attributes:
        queries: number of queries.
        true_pairs: number of their true pairs.
        uap: µAP of these queries alone; None where they have no match.
        recall_at_1: of these queries; None where they have no match.
        found: share of true pairs at or above the threshold; None where there is no match or no
            threshold.
        false_match_rate: share of the queries with a false pair at or above the threshold; None
            without threshold.
        intervals: metric -> 95 % interval: by Wilson for shares; for µAP over redrawn queries,
            where these are on and the queries are not few.
    """

    queries: int
    true_pairs: int
    uap: float | None
    recall_at_1: float | None
    found: float | None
    false_match_rate: float | None
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    @property
    def is_small(self) -> bool:
        """True where the queries are too few for rates."""
        return self.queries < FEW_QUERIES

    def cases(self, metric: str) -> int:
        """Return the number of cases that a share is of: queries, or true pairs."""
        return self.queries if metric == "false_match_rate" else self.true_pairs

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values; an interval is a list of its ends."""
        ends = {name: [interval.low, interval.high] for name, interval in self.intervals.items()}
        return {**asdict(self), "intervals": ends}


def breakdown(
    ranking: Ranking,
    groups: Mapping[str, str],
    *,
    threshold: float | None,
    bootstrap: int = 0,
    seed: int = 0,
) -> dict[str, KindResult]:
    """Compute the metrics of every group of queries.

    Args:
        ranking: the predictions.
        groups: query id -> group; queries without one are ``unknown``.
        threshold: the operating threshold; None: none was reached.
        bootstrap: replicates of the intervals of µAP; 0 leaves them out.
        seed: of the bootstrap.

    Returns:
        group -> its metrics; empty without groups.

    >>> from asl.metrics.average_precision import rank
    >>> from asl.types import ScoredPairs, TruthPairs
    >>> truth = TruthPairs.from_pairs([("q1", "r1"), ("q2", "r2")])
    >>> ranking = rank(ScoredPairs.from_ids(["q1", "q2"], ["r1", "r9"], [0.9, 0.8]), truth)
    >>> groups = breakdown(ranking, {"q1": "crop", "q2": "blur"}, threshold=0.5)
    >>> {group: result.recall_at_1 for group, result in groups.items()}
    {'blur': 0.0, 'crop': 1.0}
    """
    if not groups:
        return {}
    names = np.array([groups.get(query, "unknown") for query in ranking.queries.tolist()])
    results = {}
    for name in np.unique(names):
        own = ranking.only_queries(names == name)
        shares = _shares(own, names == name, threshold)
        results[str(name)] = _with_intervals(shares, own, names == name, bootstrap, seed)
    return results


def _shares(ranking: Ranking, chosen: Bools, threshold: float | None) -> KindResult:
    queries = int(chosen.sum())
    true_share = false_matches = None
    if threshold is not None:
        accepted = ranking.scores >= threshold
        wrong = np.unique(ranking.query_index[accepted & ~ranking.labels])
        false_matches = len(wrong) / queries
        if ranking.truth_count:
            true_share = float((accepted & ranking.labels).sum() / ranking.truth_count)
    if not ranking.truth_count:
        return KindResult(queries, 0, None, None, None, false_matches)
    uap, at_1 = average_precision(ranking), recall_at(group_by_query(ranking), 1)
    return KindResult(queries, ranking.truth_count, uap, at_1, true_share, false_matches)


def _with_intervals(
    result: KindResult, own: Ranking, chosen: Bools, bootstrap: int, seed: int
) -> KindResult:
    intervals = {
        metric: proportion_interval(share, result.cases(metric))
        for metric in ("recall_at_1", "found", "false_match_rate")
        if (share := getattr(result, metric)) is not None
    }
    if bootstrap and result.uap is not None and not result.is_small:
        draws = bootstrap_replicates(_only(own, chosen), {}, replicates=bootstrap, seed=seed)
        intervals = {"uap": Interval.of(draws["uap"]), **intervals}
    return replace(result, intervals=intervals)


def _only(ranking: Ranking, chosen: Bools) -> Ranking:
    """Leave the queries that are not chosen out of the vocabulary, too."""
    place = np.cumsum(chosen) - 1
    return replace(
        ranking,
        query_index=place[ranking.query_index],
        queries=ranking.queries[chosen],
        truth_index=place[ranking.truth_index],
    )
