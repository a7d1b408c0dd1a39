"""Search with regions: the score of a pair is the best of its regions, and the list stays exact.

The k best of a maximum over regions are among the k best of each region: whatever beats a pair in
the region where it scores highest beats it in the maximum, too. So every region is searched with
any engine, and the lists are merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from asl.index.exact.exact_search import search
from asl.shared_defaults import NEIGHBOURS
from asl.types import (
    AslError,
    Embeddings,
    Progress,
    QueryEmbeddings,
    ReferenceEmbeddings,
    ScoredPairs,
)


def search_regions(
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
    *,
    reference_regions: Sequence[Embeddings] = (),
    query_regions: Sequence[Embeddings] = (),
    k: int | None = NEIGHBOURS,
    most: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> ScoredPairs:
    """Search by the best of whole x whole, query x reference region and query region x reference.

    Region-to-region matches are excluded: generic content such as sky would match.

    Args:
        queries: Q embeddings of whole queries.
        references: R embeddings of whole references.
        reference_regions: embeddings ``[R, D]`` of one region of every reference each, in the
            references' order.
        query_regions: embeddings ``[Q, D]`` of one region of every query each, in the queries'
            order. They find content pasted into a larger image, but also photos of which a
            reference is a crop: use them for candidates that are verified.
        k: references per query; None: all that ``most`` and ``above`` allow.
        most: pairs over all queries, the best ones.
        progress: called with (queries done, queries in all), over all searches.
        options: of :func:`asl.index.exact.exact_search.search` (score, engine, ``above`` ...).

    Returns:
        Pairs ordered by query, then by (-score, reference id).

    Raises:
        AslError: regions belong to other images, or
            :func:`asl.index.exact.exact_search.search` refuses its arguments.

    >>> from asl.scoring.score import Score
    >>> queries = QueryEmbeddings.from_features(["q"], [[1.0, 0.0]])
    >>> references = ReferenceEmbeddings.from_features(["r"], [[1.0, 1.0]])
    >>> corner = Embeddings.from_features(["r"], [[1.0, 0.0]])
    >>> pairs = search_regions(
    ...     queries, references, reference_regions=[corner], score=Score("cosine")
    ... )
    >>> pairs.scores.tolist()
    [1.0]
    """
    for whole, regions in ((references, reference_regions), (queries, query_regions)):
        _check_regions(whole, regions)
    rounds = [(queries, references)]
    rounds += [(queries, region.as_references()) for region in reference_regions]
    rounds += [(region.as_queries(), references) for region in query_regions]
    lists = []
    for number, (round_queries, round_references) in enumerate(rounds):

        def update(done: int, total: int, before: int = number) -> None:
            if progress:
                progress(before * total + done, len(rounds) * total)

        lists.append(
            search(round_queries, round_references, k=k, most=most, progress=update, **options)
        )
    return best_of(lists, k=k, most=most)


def _check_regions(whole: Embeddings, regions: Sequence[Embeddings]) -> None:
    for number, region in enumerate(regions, 1):
        if not np.array_equal(region.ids, whole.ids):
            raise AslError(
                "regions: must be of the same images in the same order as the "
                f"{type(whole).__name__}: region {number} is not; extract both from one store"
            )


def best_of(lists: Sequence[ScoredPairs], *, k: int | None, most: int | None = None) -> ScoredPairs:
    """Merge lists: every pair once, with its best score; the k best of every query.

    Args:
        lists: lists of the same queries and references, in the same order.
        k: references per query; None: all.
        most: pairs over all queries; equal scores at the border go to the earlier query.

    Returns:
        Pairs ordered by query, then by (-score, reference id).

    >>> whole = ScoredPairs.from_ids(["q", "q"], ["r1", "r2"], [0.5, 0.25])
    >>> region = ScoredPairs.from_ids(["q", "q"], ["r1", "r2"], [0.25, 0.75])
    >>> best = best_of([whole, region], k=1)
    >>> best.reference_ids.tolist(), best.scores.tolist()
    (['r2'], [0.75])
    """
    if len(lists) == 1:
        return lists[0]
    first = lists[0]
    query = np.concatenate([pairs.query_index for pairs in lists])
    reference = np.concatenate([pairs.reference_index for pairs in lists])
    scores = np.concatenate([pairs.scores for pairs in lists])
    by_id = np.argsort(np.argsort(first.references, kind="stable"), kind="stable")
    order = np.lexsort((by_id[reference], -scores, query))
    query = query[order]
    reference = reference[order]
    scores = scores[order]
    # The best score of a pair comes first.
    pair_keys = query * len(first.references) + reference
    rows = np.sort(np.unique(pair_keys, return_index=True)[1])
    if k is not None:
        rank = np.arange(len(rows)) - np.searchsorted(query[rows], query[rows], side="left")
        rows = rows[rank < k]
    if most is not None:
        rows = np.sort(rows[np.argsort(-scores[rows], kind="stable")[:most]])
    return ScoredPairs(first.queries, first.references, query[rows], reference[rows], scores[rows])
