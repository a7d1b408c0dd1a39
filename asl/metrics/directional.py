"""How well the norms know the direction, whatever the angles say (Wang, Sun & Yang, AAAI 2023).

The quantity is the log-norm difference d = n_r - n_q of an ordered pair query -> reference: positive says "the
reference holds more of the original". A true pair should have d > 0; read backwards it has -d.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from asl.metrics.evaluate import HARD
from asl.types import F32, AslError, QueryEmbeddings, ReferenceEmbeddings, ScoredPairs, StrArray, TruthPairs


@dataclass(frozen=True, eq=False)
class Directional:
    """The directional numbers of a benchmark; rates are 0..1.

    Attributes:
        norm_order_accuracy: share of true pairs with n_r > n_q; equal norms count half.
        auroc_reversed: how well d separates true pairs from the same pairs reversed (0.5 = not at all).
        auroc_hard: ... from hard negatives (each with its nearest wrong reference); None without any.
        uap_both: µAP over both directions of the true pairs, scored by d, only the right direction positive.
        by_kind: kind of query -> (norm_order_accuracy, number of pairs).
        differences: d of ``true``, ``reversed`` and (where given) ``hard`` pairs, for histograms.
    """

    norm_order_accuracy: float
    auroc_reversed: float
    auroc_hard: float | None
    uap_both: float
    by_kind: Mapping[str, tuple[float, int]]
    differences: Mapping[str, F32] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the differences themselves."""
        return {
            "norm_order_accuracy": self.norm_order_accuracy,
            "auroc_reversed": self.auroc_reversed,
            "auroc_hard": self.auroc_hard,
            "uap_both": self.uap_both,
            "by_kind": {kind: {"accuracy": rate, "pairs": count} for kind, (rate, count) in self.by_kind.items()},
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
        hard: predictions; those of queries of a kind ``hard:...`` are what true pairs are separated from.

    Raises:
        AslError: the truth is empty, or an id of it has no embedding (it is named).
    """
    if not len(truth):
        raise AslError("truth: it has no true pair, so there is no direction to measure")
    query_norms = _norms(truth.query_ids, queries)
    reference_norms = _norms(truth.reference_ids, references)
    difference = (reference_norms - query_norms).astype(np.float32)
    groups = {"true": difference, "reversed": -difference}
    if hard is not None:
        against = _hard_differences(hard, truth, queries, references)
        if len(against):
            groups["hard"] = against
    kinds = np.array([truth.kinds.get(query, "unknown") for query in truth.query_ids.tolist()])
    return Directional(
        norm_order_accuracy=order_accuracy(difference),
        auroc_reversed=auroc(difference, -difference),
        auroc_hard=auroc(difference, groups["hard"]) if "hard" in groups else None,
        uap_both=uap_both_directions(difference, -difference),
        by_kind={
            str(kind): (order_accuracy(difference[kinds == kind]), int((kinds == kind).sum()))
            for kind in np.unique(kinds)
        },
        differences=groups,
    )


def order_accuracy(differences: npt.ArrayLike) -> float:
    """Share of positive differences; zeros count half."""
    values = np.asarray(differences)
    return float(((values > 0).sum() + 0.5 * (values == 0).sum()) / max(len(values), 1))


def auroc(positive: npt.ArrayLike, negative: npt.ArrayLike) -> float:
    """P(a positive is above a negative) + half P(they are equal): the Mann-Whitney statistic."""
    above, below = np.sort(np.asarray(positive)), np.sort(np.asarray(negative))
    if not len(above) or not len(below):
        raise AslError("auroc: needs at least one value on either side")
    lower = np.searchsorted(below, above, side="left").sum(dtype=np.int64)
    not_higher = np.searchsorted(below, above, side="right").sum(dtype=np.int64)
    return float((lower + not_higher) / 2 / (len(above) * len(below)))


def _norms(ids: StrArray, embeddings: QueryEmbeddings | ReferenceEmbeddings) -> F32:
    row = {name: index for index, name in enumerate(embeddings.ids.tolist())}
    missing = [name for name in ids.tolist() if name not in row]
    if missing:
        raise AslError(
            f"truth: {len(missing)} id(s) have no embedding in the {type(embeddings).__name__}, e.g. {missing[0]!r}"
        )
    found: F32 = embeddings.log_norms[[row[name] for name in ids.tolist()]]
    return found


def _hard_differences(
    pairs: ScoredPairs, truth: TruthPairs, queries: QueryEmbeddings, references: ReferenceEmbeddings
) -> F32:
    """The difference d of the best-scored prediction of every hard-negative query."""
    hard = {query for query, kind in truth.kinds.items() if kind.startswith(HARD)}
    order = np.argsort(-pairs.scores, kind="stable")
    query_ids, first = np.unique(pairs.query_index[order], return_index=True)
    rows = order[first][np.isin(pairs.queries[query_ids], sorted(hard))]
    if not len(rows):
        return np.empty(0, dtype=np.float32)
    difference = _norms(pairs.reference_ids[rows], references) - _norms(pairs.query_ids[rows], queries)
    return np.asarray(difference, dtype=np.float32)


def uap_both_directions(forward: npt.ArrayLike, backward: npt.ArrayLike) -> float:
    """µAP of every true pair asked in both directions; only query -> reference counts as true.

    A symmetric score cannot tell them apart: it ties, ties count against, and half is all it can get.

    Args:
        forward: ``[T]`` scores query -> reference.
        backward: ``[T]`` scores of the same pairs, reference -> query.
    """
    above, below = np.asarray(forward, dtype=np.float64), np.asarray(backward, dtype=np.float64)
    if above.shape != below.shape or above.ndim != 1 or not len(above):
        raise AslError(
            f"uap_both_directions: needs one score per pair on either side, got {above.shape}, {below.shape}"
        )
    scores = np.concatenate([above, below])
    labels = np.arange(len(scores)) < len(above)
    places = np.flatnonzero(labels[np.lexsort((labels, -scores))])
    return float((np.arange(1, len(places) + 1) / (places + 1)).mean())
