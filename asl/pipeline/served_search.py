"""Run a planned search over references in Milvus; only those that the result needs are read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from asl.console.progress import progress_bar
from asl.counts import counted
from asl.index.milvus.address import open_served
from asl.index.milvus.collection import MilvusIndex
from asl.pipeline.candidates import find_local, join_candidates
from asl.pipeline.image_checks import check_images
from asl.pipeline.input_loader import check_served_model, warn_mixed_decoding
from asl.pipeline.inputs import SearchInput
from asl.pipeline.search_plan import SearchPlan
from asl.pipeline.search_result import SearchResult, describe_found, print_recall
from asl.pipeline.verification import DirectionRule, VerificationPlan, verify_candidates
from asl.scoring.score import Score
from asl.types import ScoredPairs, StrArray, UsageError


def search_collection(plan: SearchPlan, address: str, rule: DirectionRule) -> SearchResult:
    """Search the collection at ``milvus+ADDRESS``; verify the candidates where that is planned.

    Args:
        plan: of the search.
        address: of the collection.
        rule: names the directions of verified pairs.

    Raises:
        AslError: Milvus cannot be reached, the collection holds features of another model, or the
            images are not those of its references.
    """
    index = open_served(address)
    try:
        check_served_model(address, index.model, plan.inputs.model)
        inputs = _open_inputs(plan, index)
        score = plan.score
        if score.mode == "soft":  # the collection was encoded with its own range of log-norms
            score = replace(score, clip=index.clip)
            plan = without_calibration(plan) if score != plan.score else plan
        held = counted(len(index), "reference")
        count = f"{counted(len(inputs.queries), 'query', 'queries')} and {held}"
        searched = f"{count} ({plan.kind}, milvus {index.kind})"
        if plan.verification:
            return _search_verified(
                plan, index, inputs, plan.verification, rule, score=score, searched=searched
            )
        pairs = _search(plan, index, inputs, score)
        if plan.limits.above is not None:
            pairs = pairs.take(np.flatnonzero(pairs.scores >= plan.limits.above))
        references = index.references(pairs.references)
        return SearchResult(
            pairs, describe_found(plan, pairs, inputs.queries, references), searched
        )
    finally:
        index.close()


def _open_inputs(plan: SearchPlan, index: MilvusIndex) -> SearchInput:
    """Open queries, background and images; the references stay in the collection."""
    opened, background = plan.inputs.open_queries()
    warn_mixed_decoding([opened.fast_decode, index.fast_decode])
    return SearchInput(
        opened.embeddings.as_queries(),
        index.references([]),
        background.embeddings.as_background() if background else None,
        query_images=plan.inputs.query_images,
        reference_images=plan.inputs.reference_images,
        query_stamps=opened.stamps,
        model=plan.inputs.model,
        local_index=plan.inputs.local_index,
    )


def without_calibration(plan: SearchPlan) -> SearchPlan:
    """Drop the calibration, which is of another score than the collection serves.

    Raises:
        UsageError: a precision was asked for, which needs it.
    """
    if plan.calibration is None:
        return plan
    if plan.least is not None:
        raise UsageError(
            "precision: the collection was filled with another range of log-norms than soft was "
            "calibrated with; use another score, or fill a new collection with this model="
        )
    return replace(plan, calibration=None)


def _search(plan: SearchPlan, index: MilvusIndex, inputs: SearchInput, score: Score) -> ScoredPairs:
    """Search the collection; measure the recall of an approximate index."""
    with progress_bar("searching", unit="queries") as progress:
        pairs = index.search(
            inputs.queries,
            score=score,
            k=plan.limits.k or 1,
            background=inputs.background,
            nprobe=plan.nprobe,
            progress=progress,
        )
    if not index.kind.exact:
        with progress_bar("measuring the recall", unit="references") as progress:
            blocks = index.blocks(progress) if plan.recall_queries else None
            print_recall(plan, pairs, inputs.queries, blocks, inputs.background, score=score)
    return pairs


def _search_verified(
    plan: SearchPlan,
    index: MilvusIndex,
    inputs: SearchInput,
    verification: VerificationPlan,
    rule: DirectionRule,
    *,
    score: Score,
    searched: str,
) -> SearchResult:
    """Search, add candidates by local features, and verify them on the images.

    Local features vote over all references of the collection by their ids; of the vectors only
    those of candidates are read.
    """
    query_images, reference_images = inputs.images()
    check_images("query_images", inputs.queries.ids, query_images)
    local_ids = np.array(index.ids() if verification.local_candidates else [], dtype=np.str_)
    check_images("reference_images", local_ids, reference_images)
    pairs = _search(plan, index, inputs, score)
    names = np.unique(pairs.reference_ids)
    if verification.local_candidates:
        local = find_local(
            inputs,
            k=verification.local_candidates,
            references=local_ids,
            workers=verification.workers,
        )
        names = np.union1d(names, local.reference_ids)
        inputs = _with_references(inputs, index, names)
        pairs = join_candidates(pairs, local, inputs, score=score)
    else:
        check_images("reference_images", names, reference_images)
        inputs = _with_references(inputs, index, names)
    columns = describe_found(plan, pairs, inputs.queries, inputs.references)
    pairs, columns = verify_candidates(
        pairs,
        inputs,
        columns,
        k=plan.limits.k or 1,
        most=plan.limits.most,
        plan=verification,
        rule=rule,
    )
    return SearchResult(pairs, columns, searched)


def _with_references(inputs: SearchInput, index: MilvusIndex, names: StrArray) -> SearchInput:
    """Read the candidates among the references of the collection."""
    return replace(inputs, references=index.references(names), reference_stamps=index.stamps(names))
