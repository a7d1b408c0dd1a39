"""Metrics that look at one query at a time: recall at rank k, accuracy at 1, mean average precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asl.metrics.average_precision import F64, Area, Bool, Ranking
from asl.types import I64


@dataclass(frozen=True, eq=False)
class PerQuery:
    """The predictions of queries that have a match, grouped by query, best first inside a group.

    Attributes:
        labels: ``[P']`` whether the pair is true (among equal scores False first).
        query_index: ``[P']`` which query, ascending.
        place: ``[P']`` 0-based place inside the query's list.
        tied_rank: ``[P']`` the number of the query's predictions with an equal or higher score,
            minus one.
        truth_count: ``[Q]`` true pairs of every query.
    """

    labels: Bool
    query_index: I64
    place: I64
    tied_rank: I64
    truth_count: I64


def group_by_query(ranking: Ranking) -> PerQuery:
    """Split the global ranking into one list per query that has a match."""
    truth_count = np.bincount(ranking.truth_index, minlength=len(ranking.queries))
    rows = np.flatnonzero(truth_count[ranking.query_index] > 0)
    rows = rows[np.argsort(ranking.query_index[rows], kind="stable")]
    query, scores = ranking.query_index[rows], ranking.scores[rows]
    numbers = np.arange(len(rows))
    new_query = np.insert(query[1:] != query[:-1], 0, True)[: len(rows)]
    first = numbers[new_query][np.cumsum(new_query) - 1] if len(rows) else numbers
    run_ends = np.append((query[1:] != query[:-1]) | (scores[1:] != scores[:-1]), True)[: len(rows)]
    ends = numbers[run_ends]
    last_equal = ends[np.searchsorted(ends, numbers)] if len(rows) else numbers
    return PerQuery(
        ranking.labels[rows],
        query,
        numbers - first,
        last_equal - first,
        truth_count.astype(np.int64),
    )


def hits_at(groups: PerQuery, k: int) -> I64:
    """``[Q]`` how many of a query's true references stand in its first k; ties count against."""
    hit = groups.labels & (groups.tied_rank < k)
    return np.bincount(groups.query_index[hit], minlength=len(groups.truth_count)).astype(np.int64)


def recall_at(groups: PerQuery, k: int) -> float:
    """R@k: the share of true pairs whose reference is among the query's first k."""
    return float(hits_at(groups, k).sum() / max(int(groups.truth_count.sum()), 1))


def accuracy_at_1(groups: PerQuery) -> float:
    """The share of queries with a match whose first prediction is a true one (equal scores: the false one is first)."""
    right = np.unique(groups.query_index[groups.labels & (groups.place == 0)])
    return len(right) / max(int((groups.truth_count > 0).sum()), 1)


def query_average_precision(groups: PerQuery, *, area: Area = "rectangle") -> F64:
    """``[Q]`` average precision of every query's own list; NaN for queries without a match.

    Args:
        groups: see :func:`group_by_query`.
        area: ``trapezoid`` is what Copydays and Holidays report (INRIA's tool), ``rectangle`` the
            textbook sum.
    """
    rows = np.flatnonzero(groups.labels)
    query, place = groups.query_index[rows], groups.place[rows]
    new_query = np.insert(query[1:] != query[:-1], 0, True)[: len(rows)]
    numbers = np.arange(len(rows))
    before = numbers - (numbers[new_query][np.cumsum(new_query) - 1] if len(rows) else numbers)
    precision = (before + 1) / (place + 1)
    if area == "trapezoid":
        precision = (precision + np.where(place == 0, 1.0, before / np.maximum(place, 1))) / 2
    total = np.bincount(query, weights=precision, minlength=len(groups.truth_count))
    result: F64 = np.full(len(total), np.nan)
    np.divide(total, groups.truth_count, out=result, where=groups.truth_count > 0)
    return result


def mean_average_precision(groups: PerQuery, *, area: Area = "rectangle") -> float:
    """Macro mAP: the mean over queries with a match; blind to how scores compare between queries."""
    return float(np.nanmean(query_average_precision(groups, area=area)))
