"""Candidates by learned features, where no SIFT feature survived the edits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.learned_features import NO_LEARNED_FEATURES, LearnedReader
from asl.matching.candidates.local_features import Role
from asl.matching.run.disk_cache import Cache
from asl.matching.run.workers import LoadImage
from asl.matching.values import Settings
from asl.types import I64, ScoredPairs, StrArray

LEARNED_REFERENCES = 20_000  # up to which learned features vote: 24 KB of memory each


class LearnedVotes:
    """Learned features as a kind of features that vote; always with one byte a component."""

    nothing = NO_LEARNED_FEATURES
    exact_references = None

    def identify(self, settings: Settings) -> str:
        """Name the kind of features and the settings that they depend on."""
        return f"learned coarse {settings.size}"

    def reader(
        self, load: LoadImage, settings: Settings, role: Role, cache: Cache | None
    ) -> Callable[[str], list[LocalFeatures] | str]:
        """Return what reads the features of one image; the cache is of prepared references."""
        return LearnedReader(load, settings, is_query=role == "query", cache=cache)

    def readings(self, found: Sequence[LocalFeatures]) -> list[LocalFeatures]:
        """Return the readings of a query: as it is, mirrored, blurred, enlarged."""
        return list(found)


LEARNED = LearnedVotes()


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
