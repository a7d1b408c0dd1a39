"""The pairs of a search with their columns, and the recall of an approximate one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from asl.console.plain_console import PlainConsole
from asl.index.exact.measured_recall import measured_recall
from asl.pipeline.search_plan import SearchPlan
from asl.pipeline.verification import Columns, take_columns
from asl.scoring.score import Score, describe_pairs
from asl.types import (
    BackgroundEmbeddings,
    QueryEmbeddings,
    ReferenceEmbeddings,
    ScoredPairs,
)


@dataclass(frozen=True, eq=False)
class SearchResult:
    """Pairs to write.

    Attributes:
        pairs: by query, then by falling score.
        columns: name -> one value a pair.
        searched: description of what was searched, for a line on the terminal.
    """

    pairs: ScoredPairs
    columns: Columns
    searched: str

    def at_least(self, score: float | None) -> SearchResult:
        """Keep pairs with at least this score; None keeps all."""
        if score is None:
            return self
        rows = np.flatnonzero(self.pairs.scores >= score)
        return replace(self, pairs=self.pairs.take(rows), columns=take_columns(self.columns, rows))


def describe_found(
    plan: SearchPlan,
    pairs: ScoredPairs,
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
) -> Columns:
    """Describe pairs by cosine, log-norms, direction, and probability where it is calibrated."""
    columns = describe_pairs(pairs, queries, references)
    if plan.calibration:
        columns["probability"] = plan.calibration.probability(pairs.scores).astype(np.float32)
    return columns


def print_recall(
    plan: SearchPlan,
    pairs: ScoredPairs,
    queries: QueryEmbeddings,
    references: Iterable[ReferenceEmbeddings] | None,
    background: BackgroundEmbeddings | None,
    *,
    score: Score,
) -> None:
    """Print the measured recall of an approximate search, or why it is not measured.

    Args:
        plan: of the search.
        pairs: that it found.
        queries: of the search.
        references: all of them, in pieces; None where they cannot be compared one by one.
        background: for score normalisation.
        score: that ranks the pairs.
    """
    limits, sample = plan.limits, plan.recall_queries
    limited = limits.most is not None or limits.above is not None
    if not sample or limits.k is None or limited or references is None:
        when = (
            "for searches with k= alone, without regions" if sample else "with recall_queries=100"
        )
        PlainConsole().warn(f"approximate; its recall is measured {when}")
        return
    share = measured_recall(
        pairs, queries, references, score=score, k=limits.k, background=background, sample=sample
    )
    PlainConsole().say(
        f"approximate: {100 * share:.1f} % of the exact {limits.k} best (up to {sample} queries)"
    )
