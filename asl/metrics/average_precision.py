"""One global ranking over all queries: µAP and recall at a precision, by the rules of the field's challenges.

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

from asl.types import I64, AslError, ScoredPairs, StrArray, TruthPairs

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Area = Literal["rectangle", "trapezoid"]


@dataclass(frozen=True, eq=False)
class Ranking:
    """P predictions, best first, with what the truth says of each.

    Attributes:
        scores: ``[P]`` descending.
        labels: ``[P]`` whether the pair is true; among equal scores False stands first.
        query_index: ``[P]`` int64 into ``queries``.
        queries: ids of all queries: the truth's, then those that only the predictions name.
        truth_index: ``[T]`` int64 into ``queries``, one per true pair.
    """

    scores: npt.NDArray[np.floating[Any]]
    labels: Bool
    query_index: I64
    queries: StrArray
    truth_index: I64

    @property
    def truth_count(self) -> int:
        """T, the number of true pairs."""
        return len(self.truth_index)

    def only_queries(self, keep: Bool) -> Ranking:
        """The ranking of some queries alone (``keep``: one bool per query); the vocabulary stays whole."""
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
    """The most recall that a precision allows.

    Attributes:
        recall: 0..1; 0 where no point of the ranking reaches the precision.
        threshold: the score there (accept ``score >= threshold``), None where no point reaches it.
    """

    recall: float
    threshold: float | None


def rank(pairs: ScoredPairs, truth: TruthPairs, *, queries: StrArray | None = None) -> Ranking:
    """Order predictions by score and look each one up in the truth.

    Args:
        pairs: predictions of any order; queries that the truth does not know count as queries
            without a match.
        truth: the true pairs.
        queries: vocabulary to use; None: :func:`all_queries` of these two.

    Raises:
        AslError: the truth is empty, or a (query, reference) pair is predicted twice (it is named).
    """
    if not len(truth):
        raise AslError(
            "truth: it has no true pair, so recall and µAP are undefined; give at least one"
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
    """The truth's queries, then those that only predictions name (ground truth files often leave out distractors)."""
    named = [
        run.queries[np.bincount(run.query_index, minlength=len(run.queries)) > 0].tolist()
        for run in runs
    ]
    strangers = sorted(set().union(*named) - set(truth.queries.tolist()))
    return (
        np.concatenate([truth.queries, np.array(strangers, dtype=np.str_)])
        if strangers
        else truth.queries
    )


def average_precision(ranking: Ranking, *, area: Area = "rectangle") -> float:
    """µAP = Σ (R_i − R_{i−1}) P_i over the global ranking.

    Args:
        ranking: see :func:`rank`.
        area: ``rectangle`` takes P_i at the point itself (DISC21, NDEC); ``trapezoid`` the mean of
            the precision just before and at the point (INRIA's Copydays and Holidays tool), which
            is never higher.
    """
    places = np.flatnonzero(ranking.labels)
    return float(_precision_sum(places, np.arange(len(places)), area) / max(ranking.truth_count, 1))


def _precision_sum(places: I64, before: I64, area: Area) -> float:
    """Sum of precisions at positives that stand at 0-based ``places``, each with ``before`` positives ahead of it."""
    here = (before + 1) / (places + 1)
    if area == "rectangle":
        return float(here.sum())
    ahead = np.where(places == 0, 1.0, before / np.maximum(places, 1))
    return float((here + ahead).sum() / 2)


def recall_at_precision(ranking: Ranking, precision: float) -> OperatingPoint:
    """The best recall at any point of the ranking whose precision is at least ``precision`` (R@P90: 0.9)."""
    places = np.flatnonzero(ranking.labels)
    # Precision only falls between two positives, so the points at positives are the ones to look
    # at.
    reached = np.flatnonzero(np.arange(1, len(places) + 1) / (places + 1) >= precision)
    if not len(reached):
        return OperatingPoint(0.0, None)
    last = int(reached[-1])
    return OperatingPoint((last + 1) / ranking.truth_count, float(ranking.scores[places[last]]))


def precision_recall_curve(ranking: Ranking) -> tuple[F64, F64, F64]:
    """Recall, precision and score at every positive, best score first (precision only falls between positives)."""
    places = np.flatnonzero(ranking.labels)
    found = np.arange(1, len(places) + 1)
    return (
        found / ranking.truth_count,
        found / (places + 1),
        ranking.scores[places].astype(np.float64),
    )


def _positions(ids: StrArray, position: dict[str, int]) -> I64:
    return np.fromiter(map(position.get, ids.tolist(), repeat(-1)), dtype=np.int64, count=len(ids))


def label_pairs(pairs: ScoredPairs, truth: TruthPairs) -> Bool:
    """Whether each prediction is a true pair; strings are compared once per vocabulary entry, not per pair."""
    query_place = {
        name: index for index, name in enumerate(dict.fromkeys(truth.query_ids.tolist()))
    }
    reference_place = {
        name: index for index, name in enumerate(dict.fromkeys(truth.reference_ids.tolist()))
    }
    width = len(reference_place)
    true_keys = _positions(truth.query_ids, query_place) * width + _positions(
        truth.reference_ids, reference_place
    )
    queries = _positions(pairs.queries, query_place)[pairs.query_index]
    references = _positions(pairs.references, reference_place)[pairs.reference_index]
    labels = (queries >= 0) & (references >= 0)
    rows = np.flatnonzero(labels)
    labels[rows] = np.isin(queries[rows] * width + references[rows], true_keys)
    return labels


def _best_first(scores: npt.NDArray[np.floating[Any]], labels: Bool) -> I64:
    order = np.argsort(-scores)
    same = np.diff(scores[order]) == 0
    tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
    rows = order[tied]
    order[tied] = rows[np.lexsort((labels[rows], -scores[rows]))]
    return order


def _refuse_duplicates(pairs: ScoredPairs) -> None:
    keys = np.sort(pairs.query_index * len(pairs.references) + pairs.reference_index)
    twice = np.unique(keys[1:][keys[1:] == keys[:-1]])
    if len(twice):
        query, reference = divmod(int(twice[0]), len(pairs.references))
        raise AslError(
            f"predictions: {len(twice)} pair(s) stand more than once, the first is "
            f"({str(pairs.queries[query])!r}, {str(pairs.references[reference])!r}); keep one score per pair"
        )
