"""How much an approximate search finds: beside the exact lists of some of its queries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from asl.index.exact.exact_search import search
from asl.scoring.score import Score, admissible
from asl.types import BackgroundEmbeddings, QueryEmbeddings, ReferenceEmbeddings, ScoredPairs


def measured_recall(
    found: ScoredPairs,
    queries: QueryEmbeddings,
    references: Iterable[ReferenceEmbeddings],
    *,
    score: Score,
    k: int,
    background: BackgroundEmbeddings | None = None,
    sample: int = 100,
) -> float:
    """Share of the exact k best pairs of some queries, evenly chosen, that an approximate search found.

    Args:
        found: its pairs.
        queries: all of its queries.
        references: all of its references, in blocks.
        score: the score that it ranked by.
        k: references per query.
        background: needed where the score is normalised.
        sample: how many queries.
    """
    chosen = queries.take(
        np.unique(np.linspace(0, len(queries) - 1, min(sample, len(queries))).astype(np.int64))
    )
    # `paper` deletes from the k nearest of all blocks together.
    ranked = replace(score, mode="cosine") if score.mode == "paper" else score
    query, names = np.empty(0, dtype=np.int64), np.empty(0, dtype="<U1")
    scores, norms = np.empty(0, dtype=np.float32), np.empty(0, dtype=np.float32)
    for block in references:
        here = search(chosen, block, score=ranked, k=k, background=background)
        query, names = np.append(query, here.query_index), np.append(names, here.reference_ids)
        scores, norms = (
            np.append(scores, here.scores),
            np.append(norms, block.log_norms[here.reference_index]),
        )
        order = np.lexsort((names, -scores, query))
        rank = np.arange(len(order)) - np.searchsorted(query[order], query[order], side="left")
        kept = order[rank < k]
        query, names, scores, norms = query[kept], names[kept], scores[kept], norms[kept]
    if score.mode == "paper":
        allowed = admissible(chosen.log_norms[query], norms, tau=score.tau)
        query, names = query[allowed], names[allowed]
    ours = set(zip(found.query_ids.tolist(), found.reference_ids.tolist(), strict=True))
    exact = list(zip(chosen.ids[query].tolist(), names.tolist(), strict=True))
    return sum(pair in ours for pair in exact) / len(exact) if exact else 1.0
