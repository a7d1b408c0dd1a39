"""Run a planned search: over opened references, or over a Milvus collection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console

from asl.console.progress import progress_bar
from asl.index.exact.measured_recall import measured_recall
from asl.index.exact.region_search import search_regions
from asl.index.milvus.address import open_served
from asl.index.milvus.collection import MilvusIndex
from asl.pipeline.candidates import add_local
from asl.pipeline.features import postprocess
from asl.pipeline.input_loader import check_served_model, warn_mixed_decoding
from asl.pipeline.inputs import SearchInput, check_background
from asl.pipeline.search_plan import SearchPlan
from asl.pipeline.verification import Columns, take_columns, verify_candidates
from asl.scoring.score import Score, describe_pairs
from asl.types import (
    BackgroundEmbeddings,
    QueryEmbeddings,
    ReferenceEmbeddings,
    ScoredPairs,
    UsageError,
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


def run_search(plan: SearchPlan) -> SearchResult:
    """Open the inputs of a plan (images are embedded), search, verify where that is planned."""
    if plan.served:
        return _search_collection(plan, plan.served)
    inputs = plan.inputs.open()
    check_background(inputs)
    inputs = postprocess(inputs, whiten=plan.whiten, negatives=plan.negatives)
    score = plan.score_for(inputs.references.log_norms)
    pairs = _search(plan, inputs, score)
    if not plan.engine.exact:
        regions = inputs.query_regions or inputs.reference_regions
        blocks = None if regions else [inputs.references]
        _print_recall(plan, pairs, inputs.queries, blocks, inputs.background, score=score)
    if plan.verification:
        pairs = add_local(
            pairs,
            inputs,
            score=score,
            k=plan.verification.local_candidates,
            workers=plan.verification.workers,
        )
    columns = _columns(plan, pairs, inputs.queries, inputs.references)
    if plan.verification and plan.limits.k is not None:
        pairs, columns = verify_candidates(
            pairs,
            inputs,
            columns,
            k=plan.limits.k,
            most=plan.limits.most,
            plan=plan.verification,
        )
    count = f"{len(inputs.queries)} queries and {len(inputs.references)} references"
    return SearchResult(pairs, columns, f"{count} ({plan.kind}, {plan.engine.name})")


def _search(plan: SearchPlan, inputs: SearchInput, score: Score) -> ScoredPairs:
    verified = plan.verification is not None
    with progress_bar("searching", unit="queries") as progress:
        return search_regions(
            inputs.queries,
            inputs.references,
            reference_regions=inputs.reference_regions,
            query_regions=inputs.query_regions,
            score=score,
            k=plan.limits.k,
            most=None if verified else plan.limits.most,
            above=None if verified else plan.limits.above,
            engine=plan.engine,
            memory=plan.limits.memory,
            background=inputs.background,
            progress=progress,
        )


def _columns(
    plan: SearchPlan,
    pairs: ScoredPairs,
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
) -> Columns:
    columns = describe_pairs(pairs, queries, references)
    if plan.calibration:
        columns["probability"] = plan.calibration.probability(pairs.scores).astype(np.float32)
    return columns


def _search_collection(plan: SearchPlan, address: str) -> SearchResult:
    """Search references that Milvus holds; only the pairs' own references are read."""
    index = open_served(address)
    try:
        check_served_model(address, index.model, plan.inputs.model)
        opened, background = plan.inputs.open_queries()
        warn_mixed_decoding([opened.fast_decode, index.fast_decode])
        queries = opened.embeddings.as_queries()
        others = background.embeddings.as_background() if background else None
        score = plan.score
        if score.mode == "soft":  # the collection was encoded with its own range of log-norms
            score = replace(score, clip=index.clip)
            plan = _without_calibration(plan) if score != plan.score else plan
        with progress_bar("searching", unit="queries") as progress:
            pairs = index.search(
                queries,
                score=score,
                k=plan.limits.k or 1,
                background=others,
                nprobe=plan.nprobe,
                progress=progress,
            )
        if not index.kind.exact:
            _print_collection_recall(plan, index, pairs, queries, others, score=score)
        if plan.limits.above is not None:
            pairs = pairs.take(np.flatnonzero(pairs.scores >= plan.limits.above))
        columns = _columns(plan, pairs, queries, index.references(pairs.references))
        count = f"{len(queries)} queries and {len(index)} references"
        return SearchResult(pairs, columns, f"{count} ({plan.kind}, milvus {index.kind})")
    finally:
        index.close()


def _without_calibration(plan: SearchPlan) -> SearchPlan:
    """Drop the calibration, which is of another score than the collection serves.

    Raises:
        UsageError: a precision was asked for, which needs it.
    """
    if plan.least is not None:
        raise UsageError(
            "precision: the collection was filled with another range of log-norms than soft was "
            "calibrated with; use another score, or fill a new collection with this model="
        )
    return replace(plan, calibration=None)


def _print_collection_recall(
    plan: SearchPlan,
    index: MilvusIndex,
    pairs: ScoredPairs,
    queries: QueryEmbeddings,
    background: BackgroundEmbeddings | None,
    *,
    score: Score,
) -> None:
    with progress_bar("measuring the recall", unit="references") as progress:
        blocks = index.blocks(progress) if plan.recall_queries else None
        _print_recall(plan, pairs, queries, blocks, background, score=score)


def _print_recall(
    plan: SearchPlan,
    pairs: ScoredPairs,
    queries: QueryEmbeddings,
    references: Iterable[ReferenceEmbeddings] | None,
    background: BackgroundEmbeddings | None,
    *,
    score: Score,
) -> None:
    """Print the measured recall of an approximate search, or why it is not measured."""
    limits, sample = plan.limits, plan.recall_queries
    limited = limits.most is not None or limits.above is not None
    if not sample or limits.k is None or limited or references is None:
        when = (
            "for searches with k= alone, without regions" if sample else "with recall_queries=100"
        )
        Console().print(f"[yellow]approximate; its recall is measured {when}")
        return
    share = measured_recall(
        pairs, queries, references, score=score, k=limits.k, background=background, sample=sample
    )
    Console().print(
        f"approximate: {100 * share:.1f} % of the exact {limits.k} best (up to {sample} queries)"
    )
