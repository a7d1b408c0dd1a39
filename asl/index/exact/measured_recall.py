"""Measure the recall of an approximate search on the exact lists of some of its queries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from asl.index.exact.exact_search import search
from asl.scoring.score import Score, admissible
from asl.shared_defaults import RECALL_QUERIES
from asl.types import (
    F32,
    I64,
    BackgroundEmbeddings,
    QueryEmbeddings,
    ReferenceEmbeddings,
    ScoredPairs,
    StrArray,
)


def measured_recall(
    pairs: ScoredPairs,
    queries: QueryEmbeddings,
    references: Iterable[ReferenceEmbeddings],
    *,
    score: Score,
    k: int,
    background: BackgroundEmbeddings | None = None,
    sample: int = RECALL_QUERIES,
) -> float:
    """Measure the share of the exact k best pairs that an approximate search found.

    Args:
        pairs: the pairs of the approximate search.
        queries: all of its queries.
        references: all of its references, in blocks.
        score: the score that it ranked by.
        k: references per query.
        background: needed where the score is normalised.
        sample: number of queries to measure on, evenly chosen.

    Returns:
        A share from 0 to 1; 1 where the exact lists are empty.

    >>> queries = QueryEmbeddings.from_features(["q"], [[1.0, 0.0]])
    >>> references = ReferenceEmbeddings.from_features(["r1", "r2"], [[1.0, 0.0], [1.0, 1.0]])
    >>> found = ScoredPairs.from_ids(["q"], ["r2"], [0.7])
    >>> measured_recall(found, queries, [references], score=Score("cosine"), k=2)
    0.5
    """
    rows = np.linspace(0, len(queries) - 1, min(sample, len(queries))).astype(np.int64)
    chosen = queries.take(np.unique(rows))
    # `paper` deletes from the k nearest of all blocks together.
    ranked_by = replace(score, mode="cosine") if score.mode == "paper" else score
    exact = _ExactLists(k)
    for block in references:
        exact.add(search(chosen, block, score=ranked_by, k=k, background=background), block)
    query, names = exact.query, exact.names
    if score.mode == "paper":
        allowed = admissible(chosen.log_norms[query], exact.norms, tau=score.tau)
        query, names = query[allowed], names[allowed]
    retrieved = set(zip(pairs.query_ids.tolist(), pairs.reference_ids.tolist(), strict=True))
    expected = list(zip(chosen.ids[query].tolist(), names.tolist(), strict=True))
    return sum(pair in retrieved for pair in expected) / len(expected) if expected else 1.0


class _ExactLists:
    """The exact k best of every query over the blocks so far.

    Attributes:
        query: int64 ``[P]`` query rows.
        names: ``[P]`` reference ids.
        scores: float32 ``[P]``.
        norms: float32 ``[P]`` log-norms of the references.
    """

    def __init__(self, k: int) -> None:
        self._k = k
        self.query: I64 = np.empty(0, dtype=np.int64)
        self.names: StrArray = np.empty(0, dtype="<U1")
        self.scores: F32 = np.empty(0, dtype=np.float32)
        self.norms: F32 = np.empty(0, dtype=np.float32)

    def add(self, pairs: ScoredPairs, block: ReferenceEmbeddings) -> None:
        """Merge the exact lists of one block of references."""
        query = np.append(self.query, pairs.query_index)
        names = np.append(self.names, pairs.reference_ids)
        scores = np.append(self.scores, pairs.scores)
        norms = np.append(self.norms, block.log_norms[pairs.reference_index])
        order = np.lexsort((names, -scores, query))
        rank = np.arange(len(order)) - np.searchsorted(query[order], query[order], side="left")
        best = order[rank < self._k]
        self.query = query[best]
        self.names = names[best]
        self.scores = scores[best]
        self.norms = norms[best]
