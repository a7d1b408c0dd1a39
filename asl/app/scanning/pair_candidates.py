"""Which pairs of contents are worth a look: near neighbours by their embeddings, within a budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import reverse_cuthill_mckee

from asl.app.library.local_feature_store import Voted
from asl.index.engines.by_name import make_engine
from asl.types import F32, I64, AslError

_BLOCK = 2048  # queries of one search
_CROWD = 5  # neighbours that say how crowded it is around a content


@dataclass(frozen=True, eq=False)
class Contents:
    """Contents and their features.

    Attributes:
        digests: one per row.
        vectors: float32 ``[N, D]`` unit rows.
        log_norms: float32 ``[N]``.
        parts: float32 ``[R, N, D]`` unit rows of parts of the images (:mod:`asl.features.regions`);
            R may be 0.
    """

    digests: list[str]
    vectors: F32
    log_norms: F32
    parts: F32

    @classmethod
    def of(cls, digests: Sequence[str], features: F32, parts: F32 | None = None) -> Contents:
        """From un-normalised features ``[N, D]``, and of parts ``[R, N, D]`` where there are any."""
        norms = np.linalg.norm(features, axis=1)
        if not np.all(norms > 0):
            raise AslError("features: one has length 0; a direction is undefined")
        if parts is None:
            parts = np.empty((0, *features.shape), dtype=np.float32)
        lengths = np.maximum(np.linalg.norm(parts, axis=2, keepdims=True), 1e-12)
        return cls(
            list(digests),
            features / norms[:, None],
            np.log(norms).astype(np.float32),
            parts / lengths,
        )


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of rows, the ones most worth a look first.

    Attributes:
        first: int64 ``[P]``.
        second: int64 ``[P]``.
        cosines: float32 ``[P]``.
        found: how many there were before the budget.
    """

    first: I64
    second: I64
    cosines: F32
    found: int


def nearest_pairs(
    contents: Contents,
    queries: I64,
    references: I64,
    *,
    k: int,
    budget: int,
    voted: Voted | None = None,
) -> Candidates:
    """The k nearest references of every query, each pair once, the ``budget`` most promising of them.

    Half of the budget goes to the pairs with most votes of local features. Of what is left a
    quarter goes to the highest cosines, the rest to pairs that stand out of their neighbourhood:
    the cosine minus the mean of the next neighbours' (in the manner of score normalisation). By the
    cosine alone, series of look-alikes would use it up.

    Args:
        contents: all contents.
        queries: int64 rows that are asked about.
        references: int64 rows among which copies are looked for; a content is never paired with
            itself.
        k: neighbours of each query.
        budget: most pairs.
        voted: pairs that local features propose.
    """
    # Queries may be references themselves: one more, for the content that finds itself.
    wide = min(max(k, _CROWD) + 1, len(references))
    if not len(queries) or not wide:
        return Candidates(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32), 0)
    crowd = np.full(len(contents.digests), np.nan)
    lists = []
    for number, (left, right) in enumerate(_rounds(contents, queries, references)):
        asked, among = (references, queries) if left is None else (queries, references)
        found, values = _nearest(
            contents.vectors[asked] if left is None else left, right, among, wide
        )
        own = found == asked[:, None]
        if number == 0:
            crowd[queries] = _crowding(np.where(own, np.nan, values))
        kept = ~own & (np.cumsum(~own, axis=1) <= k)
        lists.append((asked[np.nonzero(kept)[0]], found[kept], values[kept]))
    if voted is not None:
        cosines = np.einsum(
            "pd,pd->p", contents.vectors[voted.first], contents.vectors[voted.second]
        )
        lists.append((voted.first, voted.second, cosines.astype(np.float32)))
    first, second, cosines = (np.concatenate(column) for column in zip(*lists, strict=True))
    return _most_promising(first, second, cosines, crowd, budget, voted or Voted.nothing())


def _rounds(contents: Contents, queries: I64, references: I64) -> Iterator[tuple[F32 | None, F32]]:
    """What is compared with what: wholes, then wholes with parts of the others. None: references ask, not queries."""
    yield contents.vectors[queries], contents.vectors[references]
    within = np.array_equal(queries, references)
    for part in contents.parts:
        yield contents.vectors[queries], part[references]
        if not within:  # a library's photo may be the crop
            yield None, part[queries]


def _nearest(left: F32, right: F32, rows: I64, wide: int) -> tuple[I64, F32]:
    """int64 ``[Q, wide]`` rows and float32 ``[Q, wide]`` cosines of the nearest of ``right``, whose rows are given."""
    engine, haystack = make_engine("auto"), np.ascontiguousarray(right)
    wide = min(wide, len(haystack))
    found, values = np.empty((len(left), wide), np.int64), np.empty((len(left), wide), np.float32)
    for start in range(0, len(left), _BLOCK):
        block = slice(start, start + _BLOCK)
        values[block], places = engine.top(np.ascontiguousarray(left[block]), haystack, wide)
        found[block] = rows[places]
    return found, values


def _crowding(values: F32) -> np.ndarray:
    """``[Q]`` mean cosine of the 2nd to 5th neighbour, own entries being NaN; 0 where there are fewer than two."""
    others = -np.sort(-values, axis=1)[:, 1:_CROWD]  # NaN goes last
    count = np.isfinite(others).sum(axis=1)
    return np.where(count > 0, np.nansum(others, axis=1) / np.maximum(count, 1), 0.0)


def _most_promising(
    first: I64, second: I64, cosines: F32, crowd: np.ndarray, budget: int, voted: Voted
) -> Candidates:
    keys = _pair_keys(first, second, len(crowd))
    best = np.argsort(
        -cosines, kind="stable"
    )  # of a pair that was found more than once, the highest cosine
    _, once = np.unique(keys[best], return_index=True)
    once = best[once]  # by rising key
    first, second, cosines, keys = first[once], second[once], cosines[once], keys[once]
    # A reference that was no query has no crowding of its own.
    standing_out = cosines - np.fmin(crowd[first], crowd[second])
    merged = np.minimum(4 * _rank(cosines), (4 * _rank(standing_out)) // 3)
    if len(voted.votes):
        votes = np.zeros(len(keys), dtype=np.float32)
        np.maximum.at(
            votes,
            np.searchsorted(keys, _pair_keys(voted.first, voted.second, len(crowd))),
            voted.votes,
        )
        by_votes = np.where(votes > 0, 2 * _rank(votes), 2 * len(keys))
        merged = np.minimum(2 * merged, by_votes)
    best = np.lexsort((second, first, -cosines, merged))[:budget]
    return Candidates(first[best], second[best], cosines[best], len(once))


def _pair_keys(first: I64, second: I64, count: int) -> I64:
    """One number for a pair, whichever way round."""
    return np.minimum(first, second) * np.int64(count) + np.maximum(first, second)


def _rank(values: np.ndarray) -> I64:
    """``[P]`` place of every value, 0 for the largest."""
    rank = np.empty(len(values), dtype=np.int64)
    rank[np.argsort(-values, kind="stable")] = np.arange(len(values))
    return rank


def looking_order(first: I64, second: I64) -> I64:
    """An order of pairs in which neighbours share images, so that a small memory of images serves most of them."""
    if not len(first):
        return np.empty(0, dtype=np.int64)
    size = int(max(first.max(), second.max())) + 1
    ones = np.ones(2 * len(first), dtype=np.int8)
    both = np.concatenate([first, second]), np.concatenate([second, first])
    order = reverse_cuthill_mckee(
        coo_matrix((ones, both), shape=(size, size)).tocsr(), symmetric_mode=True
    )
    place = np.empty(size, dtype=np.int64)
    place[order] = np.arange(size)
    ours, theirs = place[first], place[second]
    return np.lexsort((np.maximum(ours, theirs), np.minimum(ours, theirs))).astype(np.int64)
