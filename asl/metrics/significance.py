"""Paired bootstrap over queries: test whether run A is better than run B beyond chance."""

from __future__ import annotations

from dataclasses import dataclass

from asl.metrics.average_precision import all_queries, average_precision, rank, recall_at_precision
from asl.metrics.evaluation import per_query_sums
from asl.metrics.intervals import Interval, bootstrap_replicates
from asl.metrics.per_query import group_by_query
from asl.types import ScoredPairs, TruthPairs


@dataclass(frozen=True)
class Difference:
    """A − B in one metric.

    Attributes:
        value: on the whole set.
        interval: 95 % over redrawn queries.
        p_value: two-sided: share of replicates on the other side of zero, doubled; never below 2 /
            (replicates + 1).
    """

    value: float
    interval: Interval
    p_value: float


def compare(
    first: ScoredPairs,
    second: ScoredPairs,
    truth: TruthPairs,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Difference]:
    """Compare two runs on the same truth, with the same redrawn queries.

    Args:
        first: predictions of run A.
        second: predictions of run B.
        truth: of both.
        bootstrap: number of replicates.
        seed: of the draws.

    Returns:
        ``uap``, ``recall_at_p90``, ``recall_at_1`` ... -> A − B.

    >>> truth = TruthPairs.from_pairs([("q1", "r1"), ("q2", "r2")])
    >>> right = ScoredPairs.from_ids(["q1", "q2"], ["r1", "r2"], [0.9, 0.8])
    >>> half = ScoredPairs.from_ids(["q1", "q2"], ["r1", "r9"], [0.9, 0.8])
    >>> compare(right, half, truth, bootstrap=100)["uap"].value
    0.5
    """
    queries = all_queries(truth, first, second)
    values, draws = [], []
    for run in (first, second):
        ranking = rank(run, truth, queries=queries)
        sums = per_query_sums(group_by_query(ranking))
        ratios = {
            name: float(numerator.sum() / max(denominator.sum(), 1))
            for name, (numerator, denominator) in sums.items()
        }
        recall = recall_at_precision(ranking, 0.9).recall
        values.append({"uap": average_precision(ranking), "recall_at_p90": recall, **ratios})
        draws.append(bootstrap_replicates(ranking, sums, replicates=bootstrap, seed=seed))
    result = {}
    for name, value in values[0].items():
        replicates = draws[0][name] - draws[1][name]
        smaller_side = int(min((replicates <= 0).sum(), (replicates >= 0).sum()))
        p_value = min(1.0, 2 * (smaller_side + 1) / (bootstrap + 1))
        result[name] = Difference(value - values[1][name], Interval.of(replicates), p_value)
    return result
