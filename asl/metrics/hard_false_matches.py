"""Hard-negative rate: the share of hard-negative queries that match something at a threshold."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from asl.metrics.average_precision import Ranking
from asl.types import I64, Bools, TruthPairs

HARD_PREFIX = "hard:"  # of the kinds of hard-negative queries, e.g. hard:reverse_crop


def is_hard(kind: str) -> bool:
    """Report whether a kind of query is a hard negative.

    >>> is_hard("hard:reverse_crop"), is_hard("crop")
    (True, False)
    """
    return kind.startswith(HARD_PREFIX)


def hard_queries(queries: Iterable[str], truth: TruthPairs) -> Bools:
    """Return bool ``[Q]``, True for the hard negatives among these query ids.

    >>> truth = TruthPairs.from_pairs(
    ...     [("q", "r")], other_queries=["h"], kinds={"h": "hard:video"}
    ... )
    >>> hard_queries(["q", "h"], truth).tolist()
    [False, True]
    """
    return np.array([is_hard(truth.kinds.get(query, "")) for query in queries], dtype=np.bool_)


def hard_false_matches(
    ranking: Ranking, truth: TruthPairs, threshold: float | None
) -> tuple[I64, I64] | None:
    """Count hard-negative queries with a false pair at or above a threshold.

    Args:
        ranking: the predictions.
        truth: lists the kinds of the queries.
        threshold: lowest score that is accepted.

    Returns:
        int64 ``[Q]`` 1 for matched hard negatives, and int64 ``[Q]`` 1 for all hard negatives: the
        rate is the ratio of their sums. None without threshold or hard negatives.

    >>> from asl.metrics.average_precision import rank
    >>> from asl.types import ScoredPairs
    >>> truth = TruthPairs.from_pairs(
    ...     [("q", "r")], other_queries=["h"], kinds={"h": "hard:video"}
    ... )
    >>> ranking = rank(ScoredPairs.from_ids(["q", "h"], ["r", "r"], [0.9, 0.8]), truth)
    >>> matched, hard = hard_false_matches(ranking, truth, 0.5)
    >>> int(matched.sum()), int(hard.sum())
    (1, 1)
    """
    hard = hard_queries(ranking.queries.tolist(), truth)
    if threshold is None or not hard.any():
        return None
    matched = np.zeros(len(hard), dtype=np.int64)
    matched[ranking.query_index[(ranking.scores >= threshold) & ~ranking.labels]] = 1
    return matched * hard, hard.astype(np.int64)
