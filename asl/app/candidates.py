"""Which pairs of contents are worth a look: near neighbours by their embeddings, within a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import reverse_cuthill_mckee

from asl.index.search import make_engine
from asl.types import F32, I64, AslError

_BLOCK = 2048  # queries of one search


@dataclass(frozen=True, eq=False)
class Contents:
    """Contents and their features.

    Attributes:
        digests: one per row.
        vectors: float32 ``[N, D]`` unit rows.
        log_norms: float32 ``[N]``.
    """

    digests: list[str]
    vectors: F32
    log_norms: F32

    @classmethod
    def of(cls, digests: Sequence[str], features: F32) -> Contents:
        """From un-normalised features ``[N, D]``."""
        norms = np.linalg.norm(features, axis=1)
        if not np.all(norms > 0):
            raise AslError("features: one has length 0; a direction is undefined")
        return cls(list(digests), features / norms[:, None], np.log(norms).astype(np.float32))


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of rows.

    Attributes:
        first: int64 ``[P]``.
        second: int64 ``[P]``.
        cosines: float32 ``[P]``, falling.
        found: how many there were before the budget.
    """

    first: I64
    second: I64
    cosines: F32
    found: int


def nearest_pairs(contents: Contents, queries: I64, references: I64, *, k: int, budget: int) -> Candidates:
    """The k nearest references of every query, each pair once, the ``budget`` nearest of them.

    Args:
        contents: all contents.
        queries: int64 rows that are asked about.
        references: int64 rows among which copies are looked for; a content is never paired with itself.
        k: neighbours of each query.
        budget: most pairs.
    """
    engine = make_engine("auto")
    # Queries may be references themselves: one more, for the content that finds itself.
    wide = min(k + 1, len(references))
    haystack = np.ascontiguousarray(contents.vectors[references])
    firsts, seconds, values = [], [], []
    for start in range(0, len(queries), _BLOCK):
        rows = queries[start : start + _BLOCK]
        cosines, found = engine.top(np.ascontiguousarray(contents.vectors[rows]), haystack, wide)
        firsts.append(np.repeat(rows, wide))
        seconds.append(references[found].ravel())
        values.append(cosines.ravel())
    if not firsts:
        return Candidates(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32), 0)
    return _distinct(np.concatenate(firsts), np.concatenate(seconds), np.concatenate(values), budget)


def _distinct(first: I64, second: I64, cosines: F32, budget: int) -> Candidates:
    low, high = np.minimum(first, second), np.maximum(first, second)
    order = np.lexsort((high, low, -cosines))
    order = order[low[order] != high[order]]
    span = np.int64(high.max(initial=0)) + 1
    _, place = np.unique(low[order] * span + high[order], return_index=True)
    kept = order[np.sort(place)]
    best = kept[:budget]
    return Candidates(first[best], second[best], cosines[best].astype(np.float32), len(kept))


def looking_order(first: I64, second: I64) -> I64:
    """An order of pairs in which neighbours share images, so that a small memory of images serves most of them."""
    if not len(first):
        return np.empty(0, dtype=np.int64)
    size = int(max(first.max(), second.max())) + 1
    ones = np.ones(2 * len(first), dtype=np.int8)
    both = np.concatenate([first, second]), np.concatenate([second, first])
    order = reverse_cuthill_mckee(coo_matrix((ones, both), shape=(size, size)).tocsr(), symmetric_mode=True)
    place = np.empty(size, dtype=np.int64)
    place[order] = np.arange(size)
    ours, theirs = place[first], place[second]
    return np.lexsort((np.maximum(ours, theirs), np.minimum(ours, theirs))).astype(np.int64)
