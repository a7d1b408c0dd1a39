"""Run a planned search: over opened references, or over a Milvus collection."""

from __future__ import annotations

from asl.console.progress import progress_bar
from asl.counts import counted
from asl.index.exact.region_search import search_regions
from asl.pipeline.candidates import add_local
from asl.pipeline.features import postprocess
from asl.pipeline.image_checks import check_images
from asl.pipeline.inputs import SearchInput, check_background
from asl.pipeline.search_plan import SearchPlan
from asl.pipeline.search_result import SearchResult, describe_found, print_recall
from asl.pipeline.served_search import search_collection
from asl.pipeline.verification import DirectionRule, verify_candidates
from asl.scoring.score import Score
from asl.types import ScoredPairs


def run_search(plan: SearchPlan, rule: DirectionRule) -> SearchResult:
    """Open the inputs of a plan (images are embedded), search, verify where that is planned.

    Args:
        plan: of the search.
        rule: names the directions of verified pairs.
    """
    if plan.served:
        return search_collection(plan, plan.served, rule)
    inputs = plan.inputs.open()
    check_background(inputs)
    if plan.verification:
        query_images, reference_images = inputs.images()
        check_images("query_images", inputs.queries.ids, query_images)
        check_images("reference_images", inputs.references.ids, reference_images)
    inputs = postprocess(inputs, whiten=plan.whiten, negatives=plan.negatives)
    score = plan.score_for(inputs.references.log_norms)
    pairs = _search(plan, inputs, score)
    if not plan.engine.exact:
        regions = inputs.query_regions or inputs.reference_regions
        blocks = None if regions else [inputs.references]
        print_recall(plan, pairs, inputs.queries, blocks, inputs.background, score=score)
    if plan.verification:
        pairs = add_local(
            pairs,
            inputs,
            score=score,
            k=plan.verification.local_candidates,
            workers=plan.verification.workers,
        )
    columns = describe_found(plan, pairs, inputs.queries, inputs.references)
    if plan.verification and plan.limits.k is not None:
        pairs, columns = verify_candidates(
            pairs,
            inputs,
            columns,
            k=plan.limits.k,
            most=plan.limits.most,
            plan=plan.verification,
            rule=rule,
        )
    references = counted(len(inputs.references), "reference")
    count = f"{counted(len(inputs.queries), 'query', 'queries')} and {references}"
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
