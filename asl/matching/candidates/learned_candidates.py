"""Retrieve candidates by learned features, where no SIFT feature survived the edits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from asl.matching.candidates.exact_local_index import ExactLocalIndex
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.learned_features import NO_LEARNED_FEATURES, LearnedReader
from asl.matching.candidates.local_features import LocalCandidates, read_features
from asl.matching.candidates.votes import joined_lists, rank_by_votes
from asl.matching.run.disk_cache import Cache
from asl.matching.run.workers import LoadImage
from asl.matching.values import Settings
from asl.shared_defaults import LOCAL_CANDIDATES
from asl.storage import WriteError
from asl.types import I64, AslError, Progress, ScoredPairs, StrArray

LEARNED_REFERENCES = 20_000  # up to which learned features vote: 24 KB of memory each


def learned_candidates(
    queries: StrArray,
    references: StrArray,
    *,
    load_query: LoadImage,
    load_reference: LoadImage,
    k: int = LOCAL_CANDIDATES,
    settings: Settings | None = None,
    workers: int | None = None,
    cache: Path | None = None,
    collection: str = "",
    keep: Path | None = None,
    progress: Progress | None = None,
) -> LocalCandidates:
    """Retrieve the references that share most learned features with each query.

    The mirrored and the blurred query vote as well.

    Args:
        queries: query ids, ``[Q]``.
        references: reference ids, ``[R]``.
        load_query: query id -> uint8 ``[H, W, 3]`` RGB; an ``AslError`` or ``OSError`` is recorded
            as a failure of that image.
        load_reference: the same for references. Both must be picklable where ``workers`` is above
            1.
        k: maximum number of references per query.
        settings: of the verifier that will compare the candidates.
        workers: number of processes; None for one per core where there are many images.
        cache: folder of prepared references, read where they are there.
        collection: identifies the set of references in the cache and in the saved index.
        keep: file of the index of the references; reused where it was built from the same ids,
            collection and settings. It is not written where a reference could not be read or the
            folder is read-only.
        progress: called with (images done, images to do).

    Returns:
        Up to ``k`` candidates of each query, most votes first, and the unreadable images.

    Raises:
        AslError: ``k`` below 1, or a loader that cannot be sent to other processes.
    """
    if k < 1:
        raise AslError(f"k: must be 1 or more, got {k}")
    settings = settings or Settings()
    failures: dict[str, str] = {}
    content = [f"learned coarse {settings.size} {collection}", *references.tolist()]
    key = hashlib.sha256("\n".join(content).encode()).hexdigest()
    index = ExactLocalIndex.open(keep, key=key) if keep else None
    images_to_index = 0 if index else len(references)

    def read(
        role: str, ids: StrArray, reader: LearnedReader, already_done: int
    ) -> Iterator[list[LocalFeatures]]:
        found = read_features(reader, ids.tolist(), workers=workers)
        for done, (name, result) in enumerate(found, start=already_done + 1):
            if isinstance(result, str):
                failures[f"{role}:{name}"] = result
            if progress:
                progress(done, images_to_index + len(queries))
            yield [NO_LEARNED_FEATURES] if isinstance(result, str) else result

    if index is None:
        prepared = None if cache is None else Cache(cache, settings, collection)
        reader = LearnedReader(load_reference, settings, cache=prepared)
        index = ExactLocalIndex.build(
            features for (features,) in read("reference", references, reader, 0)
        )
        if keep and not failures:  # an image that cannot be read now may be readable next time
            with suppress(WriteError):  # a library may be read-only
                index.save(keep, key=key)
    asked = LearnedReader(load_query, settings, is_query=True)
    lists = [
        rank_by_votes(index, readings, k)
        for readings in read("query", queries, asked, images_to_index)
    ]
    return LocalCandidates(joined_lists(queries, references, lists), failures)


def fused(lists: list[ScoredPairs], *, queries: StrArray, references: StrArray) -> ScoredPairs:
    """Fuse lists of the same queries and references by the sum of 1 / rank, highest first.

    Reciprocal rank fusion (Cormack et al., SIGIR 2009, without its constant): votes of two kinds of
    features have no common unit. A pair in several lists is there once.

    Args:
        lists: pairs of every list, ordered by query, best first.
        queries: ids, ``[Q]``.
        references: ids, ``[R]``.
    """
    keys = [pairs.query_index * len(references) + pairs.reference_index for pairs in lists]
    pair, place = np.unique(np.concatenate(keys), return_inverse=True)
    ranks = np.concatenate([_ranks(pairs) for pairs in lists])
    scores = np.bincount(place, weights=1.0 / ranks, minlength=len(pair)).astype(np.float32)
    query, reference = np.divmod(pair, max(len(references), 1))
    order = np.lexsort((reference, -scores, query))
    return ScoredPairs(queries, references, query[order], reference[order], scores[order])


def _ranks(pairs: ScoredPairs) -> I64:
    """Rank of every pair in its query's list, from 1."""
    first = np.searchsorted(pairs.query_index, pairs.query_index, side="left")
    return np.asarray(np.arange(len(first)) - first + 1, dtype=np.int64)
