"""Directional metrics: measure how well log-norms order original and copy.

The quantity is the log-norm difference d = n_r - n_q of an ordered pair query -> reference (Wang,
Sun & Yang, AAAI 2023): where it is positive, the reference holds more of the original. A true pair
should have d > 0; the reversed pair has -d. Angles play no part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from asl.metrics.hard_false_matches import is_hard
from asl.types import (
    F32,
    AslError,
    QueryEmbeddings,
    ReferenceEmbeddings,
    ScoredPairs,
    StrArray,
    TruthPairs,
)


@dataclass(frozen=True, eq=False)
class Directional:
    """Directional metrics of a benchmark; rates are 0..1.

    Attributes:
        norm_order_accuracy: share of true pairs with n_r > n_q; equal norms count half.
        auroc_reversed: separation (AUROC) by d of true pairs from the same pairs reversed; 0.5 = no
            separation.
        auroc_hard: separation of true pairs from hard negatives (each with its nearest wrong
            reference); None without hard negatives.
        uap_both: µAP over both directions of the true pairs, scored by d, only the right direction
            positive.
        by_kind: kind of query -> (norm_order_accuracy, number of pairs).
        pairs: number of true pairs measured.
        missing: true pairs left out because an image of them has no embedding (it could not be
            read).
        differences: d of ``true``, ``reversed`` and (where given) ``hard`` pairs, for histograms.
    """

    norm_order_accuracy: float
    auroc_reversed: float
    auroc_hard: float | None
    uap_both: float
    by_kind: Mapping[str, tuple[float, int]]
    pairs: int
    missing: int = 0
    differences: Mapping[str, F32] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values, without the differences themselves."""
        return {
            "norm_order_accuracy": self.norm_order_accuracy,
            "auroc_reversed": self.auroc_reversed,
            "auroc_hard": self.auroc_hard,
            "uap_both": self.uap_both,
            "pairs": self.pairs,
            "missing": self.missing,
            "by_kind": {
                kind: {"accuracy": rate, "pairs": count}
                for kind, (rate, count) in self.by_kind.items()
            },
        }


def directional(
    truth: TruthPairs,
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
    *,
    hard: ScoredPairs | None = None,
) -> Directional:
    """Measure the norms on the true pairs of a benchmark.

    Args:
        truth: true pairs query -> reference, and the kinds of the queries.
        queries: embeddings of the queries.
        references: embeddings of the references.
        hard: predictions; true pairs are separated from those of queries of a kind ``hard:...``.

    Raises:
        AslError: the truth is empty, or no pair of it has embeddings on both sides.

    >>> truth = TruthPairs.from_pairs([("crop", "photo")])
    >>> crop = QueryEmbeddings.from_features(["crop"], [[1.0, 0.0]])
    >>> photo = ReferenceEmbeddings.from_features(["photo"], [[2.0, 0.0]])
    >>> result = directional(truth, crop, photo)
    >>> result.norm_order_accuracy, result.auroc_reversed
    (1.0, 1.0)
    """
    if not len(truth):
        raise AslError("truth: has no true pair, so there is no direction to measure; give one")
    all_differences = _norms(truth.reference_ids, references) - _norms(truth.query_ids, queries)
    known = np.isfinite(all_differences)
    if not known.any():
        raise AslError(
            "truth: no pair of it has an embedding on both sides: "
            f"e.g. {str(truth.query_ids[0])!r} -> {str(truth.reference_ids[0])!r}; "
            "do truth and features use the same id format?"
        )
    difference = all_differences[known]
    groups = {"true": difference, "reversed": -difference}
    if hard is not None:
        hard_differences = _hard_differences(hard, truth, queries, references)
        if len(hard_differences):
            groups["hard"] = hard_differences
    kinds = np.array(
        [truth.kinds.get(query, "unknown") for query in truth.query_ids[known].tolist()]
    )
    return Directional(
        norm_order_accuracy=order_accuracy(difference),
        auroc_reversed=auroc(difference, -difference),
        auroc_hard=auroc(difference, groups["hard"]) if "hard" in groups else None,
        uap_both=uap_both_directions(difference, -difference),
        by_kind={
            str(kind): (order_accuracy(difference[kinds == kind]), int((kinds == kind).sum()))
            for kind in np.unique(kinds)
        },
        pairs=len(difference),
        missing=int((~known).sum()),
        differences=groups,
    )


def order_accuracy(differences: npt.ArrayLike) -> float:
    """Compute the share of positive differences; zeros count half.

    >>> order_accuracy([0.3, -0.1, 0.0, 0.2])
    0.625
    """
    values = np.asarray(differences)
    return float(((values > 0).sum() + 0.5 * (values == 0).sum()) / max(len(values), 1))


def auroc(positive: npt.ArrayLike, negative: npt.ArrayLike) -> float:
    """Compute P(a positive is above a negative) + half P(they are equal) (Mann-Whitney).

    Args:
        positive: ``[n]`` values, one or more.
        negative: ``[m]`` values, one or more.

    Raises:
        AslError: either list is empty.

    >>> auroc([0.9, 0.4], [0.4, 0.1])
    0.875
    """
    above, below = np.sort(np.asarray(positive)), np.sort(np.asarray(negative))
    if not len(above) or not len(below):
        raise AslError(
            "auroc: needs at least one positive and one negative value, "
            f"got {len(above)} and {len(below)}"
        )
    lower = np.searchsorted(below, above, side="left").sum(dtype=np.int64)
    not_higher = np.searchsorted(below, above, side="right").sum(dtype=np.int64)
    return float((lower + not_higher) / 2 / (len(above) * len(below)))


def _norms(ids: StrArray, embeddings: QueryEmbeddings | ReferenceEmbeddings) -> F32:
    """Return the log-norm of every id, NaN where there is no embedding."""
    row_of = {name: index for index, name in enumerate(embeddings.ids.tolist())}
    rows = np.array([row_of.get(name, -1) for name in ids.tolist()], dtype=np.int64)
    return np.where(rows >= 0, embeddings.log_norms[rows], np.float32(np.nan))


def _hard_differences(
    pairs: ScoredPairs, truth: TruthPairs, queries: QueryEmbeddings, references: ReferenceEmbeddings
) -> F32:
    """Return the difference d of the best-scored prediction of every hard-negative query."""
    hard = {query for query, kind in truth.kinds.items() if is_hard(kind)}
    order = np.argsort(-pairs.scores, kind="stable")
    query_ids, first = np.unique(pairs.query_index[order], return_index=True)
    rows = order[first][np.isin(pairs.queries[query_ids], sorted(hard))]
    if not len(rows):
        return np.empty(0, dtype=np.float32)
    # Strings only of the chosen rows: a list of predictions can be long.
    hard_ids = pairs.queries[pairs.query_index[rows]]
    reference_ids = pairs.references[pairs.reference_index[rows]]
    difference = _norms(reference_ids, references) - _norms(hard_ids, queries)
    measured: F32 = difference[np.isfinite(difference)]
    return measured


def uap_both_directions(forward: npt.ArrayLike, backward: npt.ArrayLike) -> float:
    """Compute µAP over both directions of every true pair; only query -> reference is positive.

    A symmetric score cannot tell them apart: it ties, ties count against, and it gets half at most.

    Args:
        forward: ``[T]`` scores query -> reference.
        backward: ``[T]`` scores of the same pairs, reference -> query.

    Raises:
        AslError: the lists are empty or differ in length.

    >>> uap_both_directions([0.9, 0.8], [0.1, 0.2])
    1.0
    >>> uap_both_directions([0.9], [0.9])
    0.5
    """
    above, below = np.asarray(forward, dtype=np.float64), np.asarray(backward, dtype=np.float64)
    if above.shape != below.shape or above.ndim != 1 or not len(above):
        raise AslError(
            "uap_both_directions: needs one score per pair in each direction, "
            f"got shapes {above.shape}, {below.shape}; pass two lists of one length"
        )
    scores = np.concatenate([above, below])
    labels = np.arange(len(scores)) < len(above)
    places = np.flatnonzero(labels[np.lexsort((labels, -scores))])
    return float((np.arange(1, len(places) + 1) / (places + 1)).mean())
