"""Metrics over each query's own list: recall at rank k, accuracy at 1, mean average precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asl.metrics.average_precision import Area, Ranking
from asl.types import F64, I64, Bools


@dataclass(frozen=True, eq=False)
class PerQuery:
    """The predictions of queries that have a match, grouped by query, best first in each group.

    Attributes:
        labels: ``[P']`` True where the pair is true (among equal scores False first).
        query_index: ``[P']`` int64 number of the query, ascending.
        place: ``[P']`` 0-based place inside the query's list.
        tied_rank: ``[P']`` number of the query's predictions with an equal or higher score, minus
            one.
        truth_count: ``[Q]`` true pairs of every query.
    """

    labels: Bools
    query_index: I64
    place: I64
    tied_rank: I64
    truth_count: I64


def group_by_query(ranking: Ranking) -> PerQuery:
    """Split the global ranking into one list per query that has a match.

    >>> from asl.metrics.average_precision import rank
    >>> from asl.types import ScoredPairs, TruthPairs
    >>> truth = TruthPairs.from_pairs([("q1", "r1"), ("q2", "r2")])
    >>> pairs = ScoredPairs.from_ids(["q1", "q2", "q1"], ["r1", "r2", "r9"], [0.9, 0.8, 0.7])
    >>> groups = group_by_query(rank(pairs, truth))
    >>> groups.query_index.tolist(), groups.place.tolist()
    ([0, 0, 1], [0, 1, 0])
    """
    truth_count = np.bincount(ranking.truth_index, minlength=len(ranking.queries))
    rows = np.flatnonzero(truth_count[ranking.query_index] > 0)
    rows = rows[np.argsort(ranking.query_index[rows], kind="stable")]
    query, scores = ranking.query_index[rows], ranking.scores[rows]
    numbers = np.arange(len(rows))
    first, last_equal = numbers, numbers
    if len(rows):
        starts = numbers[_is_first_of_query(query)]
        first = starts[np.cumsum(_is_first_of_query(query)) - 1]
        changes = (query[1:] != query[:-1]) | (scores[1:] != scores[:-1])
        ends = numbers[np.append(changes, True)]
        last_equal = ends[np.searchsorted(ends, numbers)]
    return PerQuery(
        ranking.labels[rows],
        query,
        numbers - first,
        last_equal - first,
        truth_count.astype(np.int64),
    )


def _is_first_of_query(query: I64) -> Bools:
    """Return bool ``[n]``, True at the first row of each query; equal queries are adjacent."""
    return np.insert(query[1:] != query[:-1], 0, True)[: len(query)]


def hits_at(groups: PerQuery, k: int) -> I64:
    """Count each query's true references among its first k; ties count against.

    Args:
        groups: see :func:`group_by_query`.
        k: list length.

    Returns:
        int64 ``[Q]``.

    >>> from asl.metrics.average_precision import rank
    >>> from asl.types import ScoredPairs, TruthPairs
    >>> truth = TruthPairs.from_pairs([("q1", "r1"), ("q2", "r2")])
    >>> pairs = ScoredPairs.from_ids(["q1", "q2", "q2"], ["r1", "r2", "r9"], [0.9, 0.7, 0.8])
    >>> hits_at(group_by_query(rank(pairs, truth)), 1).tolist()
    [1, 0]
    """
    hit = groups.labels & (groups.tied_rank < k)
    return np.bincount(groups.query_index[hit], minlength=len(groups.truth_count)).astype(np.int64)


def recall_at(groups: PerQuery, k: int) -> float:
    """Compute R@k, the share of true pairs whose reference is among the query's first k.

    >>> from asl.metrics.average_precision import rank
    >>> from asl.types import ScoredPairs, TruthPairs
    >>> truth = TruthPairs.from_pairs([("q1", "r1"), ("q2", "r2")])
    >>> pairs = ScoredPairs.from_ids(["q1", "q2", "q2"], ["r1", "r2", "r9"], [0.9, 0.7, 0.8])
    >>> groups = group_by_query(rank(pairs, truth))
    >>> recall_at(groups, 1), recall_at(groups, 2)
    (0.5, 1.0)
    """
    return float(hits_at(groups, k).sum() / max(int(groups.truth_count.sum()), 1))


def accuracy_at_1(groups: PerQuery) -> float:
    """Compute the share of queries with a match whose first prediction is true.

    Among equal scores the false prediction comes first.

    >>> from asl.metrics.average_precision import rank
    >>> from asl.types import ScoredPairs, TruthPairs
    >>> truth = TruthPairs.from_pairs([("q1", "r1"), ("q1", "r2"), ("q2", "r2")])
    >>> pairs = ScoredPairs.from_ids(["q1"], ["r2"], [0.9])
    >>> accuracy_at_1(group_by_query(rank(pairs, truth)))
    0.5
    """
    correct = np.unique(groups.query_index[groups.labels & (groups.place == 0)])
    return len(correct) / max(int((groups.truth_count > 0).sum()), 1)


def query_average_precision(groups: PerQuery, *, area: Area = "rectangle") -> F64:
    """Compute the average precision of every query's own list.

    Args:
        groups: see :func:`group_by_query`.
        area: ``trapezoid`` is what Copydays and Holidays report (INRIA's tool), ``rectangle`` the
            textbook sum.

    Returns:
        float64 ``[Q]``; NaN for queries without a match.

    >>> from asl.metrics.average_precision import rank
    >>> from asl.types import ScoredPairs, TruthPairs
    >>> truth = TruthPairs.from_pairs([("q1", "r1")], other_queries=["q2"])
    >>> pairs = ScoredPairs.from_ids(["q1", "q1"], ["r9", "r1"], [0.9, 0.8])
    >>> query_average_precision(group_by_query(rank(pairs, truth))).tolist()
    [0.5, nan]
    """
    rows = np.flatnonzero(groups.labels)
    query, place = groups.query_index[rows], groups.place[rows]
    numbers = np.arange(len(rows))
    before = numbers
    if len(rows):
        new_query = _is_first_of_query(query)
        before = numbers - numbers[new_query][np.cumsum(new_query) - 1]
    precision = (before + 1) / (place + 1)
    if area == "trapezoid":
        just_before = np.where(place == 0, 1.0, before / np.maximum(place, 1))
        precision = (precision + just_before) / 2
    total = np.bincount(query, weights=precision, minlength=len(groups.truth_count))
    result: F64 = np.full(len(total), np.nan)
    np.divide(total, groups.truth_count, out=result, where=groups.truth_count > 0)
    return result


def mean_average_precision(groups: PerQuery, *, area: Area = "rectangle") -> float:
    """Compute macro mAP, the mean over queries with a match.

    It does not measure how scores compare between queries; µAP does.

    >>> from asl.metrics.average_precision import rank
    >>> from asl.types import ScoredPairs, TruthPairs
    >>> truth = TruthPairs.from_pairs([("q1", "r1"), ("q2", "r2")])
    >>> pairs = ScoredPairs.from_ids(["q1", "q2", "q2"], ["r1", "r9", "r2"], [0.1, 0.9, 0.8])
    >>> mean_average_precision(group_by_query(rank(pairs, truth)))
    0.75
    """
    return float(np.nanmean(query_average_precision(groups, area=area)))
