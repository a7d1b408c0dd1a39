"""Search with regions: the score of a pair is the best that any region of it reaches, and the list stays exact.

The k best of a maximum over regions are among the k best of each region: whatever beats a pair in
the region where it scores highest beats it in the maximum, too. So every region is searched with
any engine, and the lists are merged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from asl.index.exact.exact_search import search
from asl.types import AslError, Embeddings, QueryEmbeddings, ReferenceEmbeddings, ScoredPairs

Progress = Callable[[int, int], None]


def search_regions(
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
    *,
    reference_regions: Sequence[Embeddings] = (),
    query_regions: Sequence[Embeddings] = (),
    k: int | None = 10,
    most: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> ScoredPairs:
    """The best references of every query, by the best of: whole × whole, query × region, region × reference.

    Regions of the query against regions of the reference are left out: two skies would do.

    Args:
        queries: Q embeddings of whole queries.
        references: R embeddings of whole references.
        reference_regions: embeddings ``[R, D]`` of one region of every reference each, in the
            references' order.
        query_regions: the same for queries. They find what was pasted into a larger picture, and
            every photo whose crop is a reference as well: for candidates that are looked at again.
        k: references per query; None: as many as ``most`` and ``above`` allow.
        most: only the so many best pairs over all queries.
        progress: called with (queries done, queries to do), over all searches.
        options: of :func:`asl.index.exact.exact_search.search` (score, engine, ``above`` ...).

    Returns:
        Pairs ordered by query, then by (-score, reference id).

    Raises:
        AslError: regions of other images, or what :func:`asl.index.exact.exact_search.search`
            refuses.
    """
    for whole, regions in ((references, reference_regions), (queries, query_regions)):
        for region in regions:
            if not np.array_equal(region.ids, whole.ids):
                raise AslError(
                    f"regions: must be of the same images in the same order as the {type(whole).__name__}"
                )
    rounds = [(queries, references)]
    rounds += [(queries, region.as_references()) for region in reference_regions]
    rounds += [(region.as_queries(), references) for region in query_regions]
    found = []
    for number, (left, right) in enumerate(rounds):

        def update(done: int, total: int, before: int = number) -> None:
            if progress:
                progress(before * total + done, len(rounds) * total)

        found.append(search(left, right, k=k, most=most, progress=update, **options))
    return best_of(found, k=k, most=most)


def best_of(lists: Sequence[ScoredPairs], *, k: int | None, most: int | None = None) -> ScoredPairs:
    """Every pair once, with its best score; the k best of every query, by (-score, reference id).

    Args:
        lists: of the same queries and references, in the same order.
        k: references per query, None for all.
        most: pairs over all queries; equal scores at the border go to the earlier query.
    """
    if len(lists) == 1:
        return lists[0]
    first = lists[0]
    query = np.concatenate([pairs.query_index for pairs in lists])
    reference = np.concatenate([pairs.reference_index for pairs in lists])
    scores = np.concatenate([pairs.scores for pairs in lists])
    by_id = np.argsort(np.argsort(first.references, kind="stable"), kind="stable")
    order = np.lexsort((by_id[reference], -scores, query))
    query, reference, scores = query[order], reference[order], scores[order]
    _, once = np.unique(
        query * len(first.references) + reference, return_index=True
    )  # its best is met first
    kept = np.sort(once)
    if k is not None:
        rank = np.arange(len(kept)) - np.searchsorted(query[kept], query[kept], side="left")
        kept = kept[rank < k]
    if most is not None:
        kept = np.sort(kept[np.argsort(-scores[kept], kind="stable")[:most]])
    return ScoredPairs(first.queries, first.references, query[kept], reference[kept], scores[kept])
