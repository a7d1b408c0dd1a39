"""Micro average precision (µAP) and recall at a precision, over one global ranking of all queries.

Ties: negatives first (pessimistic). Recall divides by *all* true pairs, also those never predicted.
The average precision sums rectangles, P at the point itself (Douze et al., "The 2021 Image
Similarity Dataset and Challenge", arXiv 2106.09672, section 4); other public implementations
interpolate, or break ties differently, and disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from asl.counts import counted
from asl.types import F64, I64, AslError, Bools, ScoredPairs, StrArray, TruthPairs

Area = Literal["rectangle", "trapezoid"]


@dataclass(frozen=True, eq=False)
class Ranking:
    """P predictions, best first, labelled by the truth.

    Attributes:
        scores: ``[P]`` descending.
        labels: ``[P]`` True where the pair is true; among equal scores False comes first.
        query_index: ``[P]`` int64 into ``queries``.
        queries: ids of all queries: the truth's, then those that only predictions name.
        truth_index: ``[T]`` int64 into ``queries``, one per true pair.
    """

    scores: npt.NDArray[np.floating[Any]]
    labels: Bools
    query_index: I64
    queries: StrArray
    truth_index: I64

    @property
    def truth_count(self) -> int:
        """T, the number of true pairs."""
        return len(self.truth_index)

    def only_queries(self, keep: Bools) -> Ranking:
        """Restrict the ranking to some queries; the vocabulary stays whole.

        Args:
            keep: bool ``[Q]``, one per query.
        """
        rows = keep[self.query_index]
        return Ranking(
            scores=self.scores[rows],
            labels=self.labels[rows],
            query_index=self.query_index[rows],
            queries=self.queries,
            truth_index=self.truth_index[keep[self.truth_index]],
        )


@dataclass(frozen=True)
class OperatingPoint:
    """The best recall at a precision.

    Attributes:
        recall: 0..1; 0 where no point of the ranking reaches the precision.
        threshold: the score there (accept ``score >= threshold``); None where no point reaches the
            precision.
    """

    recall: float
    threshold: float | None


def rank(pairs: ScoredPairs, truth: TruthPairs, *, queries: StrArray | None = None) -> Ranking:
    """Order predictions by score and label each one by the truth.

    Args:
        pairs: predictions of any order; queries that the truth does not list count as queries
            without a match.
        truth: the true pairs.
        queries: query vocabulary; None: :func:`all_queries` of these two.

    Raises:
        AslError: the truth is empty, or a (query, reference) pair is predicted twice.

    >>> truth = TruthPairs.from_pairs([("crop", "photo")])
    >>> pairs = ScoredPairs.from_ids(["crop", "crop"], ["photo", "sky"], [0.4, 0.9])
    >>> rank(pairs, truth).labels.tolist()
    [False, True]
    """
    if not len(truth):
        raise AslError(
            "truth: has no true pair, so recall and µAP are undefined; give at least one"
        )
    _refuse_duplicates(pairs)
    queries = all_queries(truth, pairs) if queries is None else queries
    position = {query: index for index, query in enumerate(queries.tolist())}
    query_index = _positions(pairs.queries, position)[pairs.query_index]
    labels = label_pairs(pairs, truth)
    order = _best_first(pairs.scores, labels)
    return Ranking(
        scores=pairs.scores[order],
        labels=labels[order],
        query_index=query_index[order],
        queries=queries,
        truth_index=_positions(truth.query_ids, position),
    )


def all_queries(truth: TruthPairs, *runs: ScoredPairs) -> StrArray:
    """List the truth's queries, then those that only predictions name.

    Ground truth files often leave out distractors.

    >>> truth = TruthPairs.from_pairs([("q1", "r1")])
    >>> all_queries(truth, ScoredPairs.from_ids(["q0"], ["r1"], [0.1])).tolist()
    ['q1', 'q0']
    """
    named = [
        run.queries[np.bincount(run.query_index, minlength=len(run.queries)) > 0].tolist()
        for run in runs
    ]
    unlisted = sorted(set().union(*named) - set(truth.queries.tolist()))
    if not unlisted:
        return truth.queries
    return np.concatenate([truth.queries, np.array(unlisted, dtype=np.str_)])


def average_precision(ranking: Ranking, *, area: Area = "rectangle") -> float:
    """Compute µAP = Σ (R_i − R_{i−1}) P_i over the global ranking.

    Args:
        ranking: see :func:`rank`.
        area: ``rectangle`` takes P_i at the point itself (DISC21, NDEC); ``trapezoid`` the mean of
            the precision just before and at the point (INRIA's Copydays and Holidays tool), which
            is never higher.

    >>> truth = TruthPairs.from_pairs([("q1", "r1"), ("q2", "r2")])
    >>> pairs = ScoredPairs.from_ids(["q1", "q1", "q2"], ["r1", "r9", "r2"], [0.9, 0.8, 0.7])
    >>> f"{average_precision(rank(pairs, truth)):.4f} = {(1 / 1 + 2 / 3) / 2:.4f}"
    '0.8333 = 0.8333'
    """
    places = np.flatnonzero(ranking.labels)
    return float(_precision_sum(places, np.arange(len(places)), area) / max(ranking.truth_count, 1))


def _precision_sum(places: I64, before: I64, area: Area) -> float:
    """Sum precisions at positives.

    Args:
        places: int64 ``[T']`` 0-based places of the positives.
        before: int64 ``[T']`` number of positives ahead of each.
        area: see :func:`average_precision`.
    """
    at_point = (before + 1) / (places + 1)
    if area == "rectangle":
        return float(at_point.sum())
    just_before = np.where(places == 0, 1.0, before / np.maximum(places, 1))
    return float((at_point + just_before).sum() / 2)


def recall_at_precision(ranking: Ranking, precision: float) -> OperatingPoint:
    """Find the best recall at any point whose precision is at least ``precision`` (R@P90: 0.9).

    >>> truth = TruthPairs.from_pairs([("q1", "r1"), ("q2", "r2")])
    >>> pairs = ScoredPairs.from_ids(["q1", "q1", "q2"], ["r1", "r9", "r2"], [0.9, 0.8, 0.7])
    >>> recall_at_precision(rank(pairs, truth), 0.9)
    OperatingPoint(recall=0.5, threshold=0.9)
    """
    places = np.flatnonzero(ranking.labels)
    # Precision only falls between two positives, so only the points at positives matter.
    reached = np.flatnonzero(np.arange(1, len(places) + 1) / (places + 1) >= precision)
    if not len(reached):
        return OperatingPoint(0.0, None)
    last = int(reached[-1])
    return OperatingPoint((last + 1) / ranking.truth_count, float(ranking.scores[places[last]]))


def precision_recall_curve(ranking: Ranking) -> tuple[F64, F64, F64]:
    """Return recall, precision and score ``[T']`` at every positive, best score first.

    Precision only falls between positives.

    >>> truth = TruthPairs.from_pairs([("q1", "r1"), ("q2", "r2")])
    >>> pairs = ScoredPairs.from_ids(["q1", "q2"], ["r1", "r2"], [0.9, 0.7])
    >>> recall, precision, scores = precision_recall_curve(rank(pairs, truth))
    >>> recall.tolist(), precision.tolist(), scores.tolist()
    ([0.5, 1.0], [1.0, 1.0], [0.9, 0.7])
    """
    places = np.flatnonzero(ranking.labels)
    true_so_far = np.arange(1, len(places) + 1)
    recall, precision = true_so_far / ranking.truth_count, true_so_far / (places + 1)
    return recall, precision, ranking.scores[places].astype(np.float64)


def _positions(ids: StrArray, position: dict[str, int]) -> I64:
    return np.fromiter(map(position.get, ids.tolist(), repeat(-1)), dtype=np.int64, count=len(ids))


def label_pairs(pairs: ScoredPairs, truth: TruthPairs) -> Bools:
    """Return bool ``[P]``, True where a prediction is a true pair.

    Strings are compared once per vocabulary entry, not per pair.

    >>> truth = TruthPairs.from_pairs([("crop", "photo")])
    >>> pairs = ScoredPairs.from_ids(["crop", "photo"], ["photo", "crop"], [0.9, 0.8])
    >>> label_pairs(pairs, truth).tolist()  # the reversed pair is not true
    [True, False]
    """
    query_place = {
        name: index for index, name in enumerate(dict.fromkeys(truth.query_ids.tolist()))
    }
    reference_place = {
        name: index for index, name in enumerate(dict.fromkeys(truth.reference_ids.tolist()))
    }
    width = len(reference_place)
    true_queries = _positions(truth.query_ids, query_place)
    true_keys = true_queries * width + _positions(truth.reference_ids, reference_place)
    queries = _positions(pairs.queries, query_place)[pairs.query_index]
    references = _positions(pairs.references, reference_place)[pairs.reference_index]
    labels = (queries >= 0) & (references >= 0)
    rows = np.flatnonzero(labels)
    labels[rows] = np.isin(queries[rows] * width + references[rows], true_keys)
    return labels


def _best_first(scores: npt.NDArray[np.floating[Any]], labels: Bools) -> I64:
    order = np.argsort(-scores)
    same = np.diff(scores[order]) == 0
    tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
    rows = order[tied]
    order[tied] = rows[np.lexsort((labels[rows], -scores[rows]))]
    return order


def _refuse_duplicates(pairs: ScoredPairs) -> None:
    keys = np.sort(pairs.query_index * len(pairs.references) + pairs.reference_index)
    duplicates = np.unique(keys[1:][keys[1:] == keys[:-1]])
    if len(duplicates):
        query, reference = divmod(int(duplicates[0]), len(pairs.references))
        raise AslError(
            f"predictions: {counted(len(duplicates), 'pair is', 'pairs are')} predicted more than "
            f"once (first: {str(pairs.queries[query])!r}, {str(pairs.references[reference])!r}); "
            "keep one score per pair"
        )
