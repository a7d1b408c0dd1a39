"""Bootstrap over queries: spread of a metric over redrawn queries.

A replicate draws Q queries of Q with replacement; a query brings all its predictions and its true
pairs. It is computed from the one sorted list with a whole-number weight per query, which gives
exactly what scoring the drawn list would give (copies of a prediction tie; negatives first) at the
cost of one pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from asl.metrics.average_precision import Ranking
from asl.types import F64, I64, AslError

Weights = I64
_NORMAL_95 = 1.959964  # standard deviations on either side that hold 95 % of a normal distribution
PerQuerySum = I64 | F64
PerQuerySums = dict[str, tuple[PerQuerySum, PerQuerySum]]


@dataclass(frozen=True)
class Interval:
    """A percentile interval, by default the middle 95 % of the replicates.

    Attributes:
        low: lower end.
        high: upper end.
    """

    low: float
    high: float

    @classmethod
    def of(cls, replicates: npt.ArrayLike, *, level: float = 0.95) -> Interval:
        """Return the middle ``level`` of some replicates.

        >>> Interval.of(range(101), level=0.5)
        Interval(low=25.0, high=75.0)
        """
        tail = 50 * (1 - level)
        low, high = np.percentile(np.asarray(replicates), [tail, 100 - tail])
        return cls(float(low), float(high))


def proportion_interval(share: float, count: int) -> Interval:
    """Return the 95 % interval of a share of independent cases (Wilson, 1927).

    Unlike redrawing, it has a width where all cases agree.

    Args:
        share: 0..1 of the cases.
        count: number of cases, at least one.

    >>> interval = proportion_interval(1.0, 20)
    >>> round(interval.low, 3), interval.high
    (0.839, 1.0)
    """
    spread = _NORMAL_95**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    # Of no case or of all of them the share is an end, but for rounding.
    return Interval(max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def query_weights(queries: int, replicates: int, seed: int) -> Iterator[Weights]:
    """Draw queries with replacement, once per replicate.

    Args:
        queries: Q.
        replicates: number of draws.
        seed: equal seeds give equal draws.

    Yields:
        int64 ``[Q]``, the number of times that each query is drawn.

    Raises:
        AslError: fewer than two replicates.

    >>> [int(weights.sum()) for weights in query_weights(5, replicates=2, seed=0)]
    [5, 5]
    """
    if replicates < 2:
        raise AslError(
            "bootstrap: needs at least 2 replicates for an interval, "
            f"got {replicates}; 0 turns intervals off"
        )
    rng = np.random.default_rng(seed)
    for _ in range(replicates):
        yield np.bincount(rng.integers(queries, size=queries), minlength=queries).astype(np.int64)


class WeightedRanking:
    """A ranking prepared for many weightings of its queries, cut behind the last positive.

    >>> from asl.metrics.average_precision import rank
    >>> from asl.types import ScoredPairs, TruthPairs
    >>> truth = TruthPairs.from_pairs([("q1", "r1"), ("q2", "r2")])
    >>> pairs = ScoredPairs.from_ids(["q1", "q2"], ["r1", "r9"], [0.9, 0.8])
    >>> weighted = WeightedRanking(rank(pairs, truth))
    >>> weighted.score(np.array([1, 1]))[0], weighted.score(np.array([2, 0]))[0]
    (0.5, 1.0)
    """

    def __init__(self, ranking: Ranking) -> None:
        places = np.flatnonzero(ranking.labels)
        end = int(places[-1]) + 1 if len(places) else 0
        self._query = ranking.query_index[:end].astype(np.int32)
        self._positive_query = ranking.query_index[places]
        self._starts = np.insert(places[:-1] + 1, 0, 0)[: len(places)]
        self._truth = np.bincount(ranking.truth_index, minlength=len(ranking.queries))
        self._harmonic = np.zeros(1)

    def score(self, weights: Weights) -> tuple[float, float]:
        """Compute µAP and R@P90 of the list that repeats query q weights[q] times.

        Args:
            weights: int64 ``[Q]``.
        """
        total = int(weights @ self._truth)
        if not len(self._starts) or not total:
            return 0.0, 0.0
        own = weights[self._positive_query]
        true_so_far = np.cumsum(own)
        per_prediction = weights.astype(np.int32)[self._query]
        seen = np.cumsum(np.add.reduceat(per_prediction, self._starts, dtype=np.int64))
        drawn = own > 0
        reached = true_so_far[drawn][true_so_far[drawn] / seen[drawn] >= 0.9]
        recall = float(reached[-1] / total) if len(reached) else 0.0
        return self._precision_sum(own, true_so_far, seen) / total, recall

    def _precision_sum(self, own: I64, true_so_far: I64, seen: I64) -> float:
        # w copies of a positive after n predictions of which t are true add Σ_{j=1..w} (t+j)/(n+j),
        # which is w − (n−t) (H(n+w) − H(n)) with harmonic numbers H.
        harmonic = self._harmonics(int(seen[-1]))
        return float((own - (seen - true_so_far) * (harmonic[seen] - harmonic[seen - own])).sum())

    def _harmonics(self, size: int) -> F64:
        if len(self._harmonic) <= size:
            self._harmonic = np.insert(np.cumsum(1 / np.arange(1, 2 * size + 2)), 0, 0.0)
        return self._harmonic


def bootstrap_replicates(
    ranking: Ranking, per_query: PerQuerySums, *, replicates: int, seed: int
) -> dict[str, F64]:
    """Compute replicates of µAP, R@P90 and ratios of per-query sums.

    Args:
        ranking: the predictions.
        per_query: name -> (numerator ``[Q]``, denominator ``[Q]``), e.g. hits at rank 1 over true
            pairs.
        replicates: number of replicates.
        seed: of the draws; equal seeds and query vocabularies give paired draws.

    Returns:
        name -> float64 ``[replicates]``; names ``uap``, ``recall_at_p90`` and those of
        ``per_query``.

    >>> from asl.metrics.average_precision import rank
    >>> from asl.types import ScoredPairs, TruthPairs
    >>> truth = TruthPairs.from_pairs([("q1", "r1"), ("q2", "r2")])
    >>> ranking = rank(ScoredPairs.from_ids(["q1", "q2"], ["r1", "r2"], [0.9, 0.8]), truth)
    >>> bootstrap_replicates(ranking, {}, replicates=3, seed=0)["uap"].tolist()
    [1.0, 1.0, 1.0]
    """
    prepared = WeightedRanking(ranking)
    rows: list[list[float]] = []
    for weights in query_weights(len(ranking.queries), replicates, seed):
        ratios = [
            _ratio(weights, numerator, denominator) for numerator, denominator in per_query.values()
        ]
        rows.append([*prepared.score(weights), *ratios])
    columns: npt.NDArray[Any] = np.array(rows).T
    return dict(zip(["uap", "recall_at_p90", *per_query], columns, strict=True))


def _ratio(weights: Weights, numerator: PerQuerySum, denominator: PerQuerySum) -> float:
    total = float(weights @ denominator)
    return float(weights @ numerator) / total if total else 0.0
