"""Select candidate pairs of contents: nearest neighbours and local votes, within a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import reverse_cuthill_mckee

from asl.app.library.local_feature_store import VotedPairs
from asl.app.scanning.pair_prospects import PairProspects
from asl.console.schemas.scan_config import ScanConfig
from asl.index.engines.by_name import shared_engine
from asl.types import F32, I64, AslError, Bools

QUERIES_PER_SEARCH = 2048
LEAST_BUDGET = 10_000  # pairs
ALL_COMPARED = 1000  # photos up to which every candidate pair is compared: minutes
CROWD_NEIGHBOURS = 5  # that measure the density around a content
Floats = npt.NDArray[np.floating]
KnownPairs = Callable[[I64, I64], Bools]


@dataclass(frozen=True, eq=False)
class Contents:
    """Contents and their features.

    Attributes:
        digests: one per row.
        vectors: float32 ``[N, D]`` unit rows.
        log_norms: float32 ``[N]``.
        regions: float32 ``[R, N, D]`` unit rows of regions (:mod:`asl.features.regions`); R may
            be 0.
    """

    digests: list[str]
    vectors: F32
    log_norms: F32
    regions: F32

    @classmethod
    def from_features(
        cls, digests: Sequence[str], features: F32, regions: F32 | None = None
    ) -> Contents:
        """Normalise features ``[N, D]``, and those of regions ``[R, N, D]``.

        Raises:
            AslError: a feature is zero.
        """
        norms = np.linalg.norm(features, axis=1)
        if not np.all(norms > 0):
            raise AslError("features: a row has norm 0; its direction is undefined")
        if regions is None:
            regions = np.empty((0, *features.shape), dtype=np.float32)
        region_norms = np.maximum(np.linalg.norm(regions, axis=2, keepdims=True), 1e-12)
        return cls(
            list(digests),
            features / norms[:, None],
            np.log(norms).astype(np.float32),
            regions / region_norms,
        )

    def cosines(self, first: I64, second: I64) -> F32:
        """Cosines of pairs of rows, float32 ``[P]``."""
        cosines = np.einsum("pd,pd->p", self.vectors[first], self.vectors[second])
        return np.asarray(cosines, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class CandidatePairs:
    """Pairs of rows, most promising first.

    Attributes:
        first: int64 ``[P]``.
        second: int64 ``[P]``.
        cosines: float32 ``[P]``.
        votes: float32 ``[P]`` of local features, 0 where there are none.
        found: number of pairs before the budget.
        hopeless: number of pairs that were left out before, by their cosines and votes.
        recalled: number of pairs that would have been left out if their verdicts were not known.
    """

    first: I64
    second: I64
    cosines: F32
    votes: F32
    found: int
    hopeless: int = 0
    recalled: int = 0

    def take(self, rows: I64 | Bools) -> CandidatePairs:
        """Select pairs, in the order of ``rows`` or by a mask."""
        return replace(
            self,
            first=self.first[rows],
            second=self.second[rows],
            cosines=self.cosines[rows],
            votes=self.votes[rows],
        )


def pair_budget(options: ScanConfig, photos: int) -> int:
    """Return the number of pairs that a scan considers at most."""
    return max(LEAST_BUDGET, int(options.effort * photos))


def nearest_pairs(
    contents: Contents,
    queries: I64,
    references: I64,
    *,
    k: int,
    budget: int,
    voted: VotedPairs | None = None,
    prospects: PairProspects | None = None,
    known: KnownPairs | None = None,
) -> CandidatePairs:
    """Retrieve the k nearest references of every query and keep the most promising pairs.

    Half of the budget goes to the pairs with most votes of local features. Of the rest a quarter
    goes to the highest cosines, the remainder to pairs that stand out of their neighbourhood: the
    cosine minus the mean of the next neighbours' (like score normalisation). By the cosine alone,
    series of look-alikes would use it up.

    Args:
        contents: all contents.
        queries: int64 query rows.
        references: int64 reference rows; a content is never paired with itself.
        k: neighbours of each query.
        budget: most pairs.
        voted: candidate pairs of local features.
        prospects: rule that leaves out hopeless pairs before the budget is spent; None for none.
        known: (first, second) int64 ``[P]`` rows -> bool ``[P]``, pairs whose verdicts are known:
            with a rule they are taken whatever it says, beside the budget. None: none are known.
    """
    # Queries may be references themselves: one more, for the content that finds itself.
    wide = min(max(k, CROWD_NEIGHBOURS) + 1, len(references))
    if not len(queries) or not wide:
        nothing = VotedPairs.empty()
        return CandidatePairs(nothing.first, nothing.second, nothing.votes, nothing.votes, 0)
    crowding = np.full(len(contents.digests), np.nan)
    lists = []
    for number, search in enumerate(_searches(contents, queries, references)):
        neighbours, cosines = _nearest(search, wide)
        is_other = neighbours != search.query_rows[:, None]
        if number == 0:
            crowding[queries] = _crowding(np.where(is_other, cosines, np.nan))
        is_near = is_other & (np.cumsum(is_other, axis=1) <= k)
        lists.append(
            (search.query_rows[np.nonzero(is_near)[0]], neighbours[is_near], cosines[is_near])
        )
    if voted is not None:
        lists.append((voted.first, voted.second, contents.cosines(voted.first, voted.second)))
    first, second, cosines = (np.concatenate(column) for column in zip(*lists, strict=True))
    found = _unique(first, second, cosines, voted or VotedPairs.empty(), len(contents.digests))
    if prospects is None:
        return found.take(_most_promising(found, crowding, budget))
    return _promising_or_known(found, crowding, budget, prospects, known)


def _promising_or_known(
    found: CandidatePairs,
    crowding: Floats,
    budget: int,
    prospects: PairProspects,
    known: KnownPairs | None,
) -> CandidatePairs:
    """Keep the most promising pairs of a budget that are not hopeless; then the known others."""
    tested = prospects.is_tested(found.cosines, found.votes)
    chosen = np.flatnonzero(tested)[_most_promising(found.take(tested), crowding, budget)]
    settled = np.zeros(len(tested), dtype=np.bool_)
    if known is not None:
        settled = known(found.first, found.second)
    beside = settled.copy()
    beside[chosen] = False
    return replace(
        found.take(np.concatenate([chosen, np.flatnonzero(beside)])),
        hopeless=int((~tested & ~settled).sum()),
        recalled=int((~tested & settled).sum()),
    )


@dataclass(frozen=True, eq=False)
class _Search:
    """Vectors of queries and references, and their rows."""

    query_rows: I64
    query_vectors: F32
    reference_rows: I64
    reference_vectors: F32


def _searches(contents: Contents, queries: I64, references: I64) -> Iterator[_Search]:
    """Yield whole images against whole images, then against regions of the other side."""
    vectors = contents.vectors
    yield _Search(queries, vectors[queries], references, vectors[references])
    within = np.array_equal(queries, references)
    for region in contents.regions:
        yield _Search(queries, vectors[queries], references, region[references])
        if not within:  # the reference may be the crop
            yield _Search(references, vectors[references], queries, region[queries])


def _nearest(search: _Search, wide: int) -> tuple[I64, F32]:
    """Return int64 ``[Q, wide]`` rows and float32 ``[Q, wide]`` cosines of the nearest."""
    engine = shared_engine("auto")
    references = np.ascontiguousarray(search.reference_vectors)
    engine.hold(references)  # on a GPU for all blocks of queries
    count = len(search.query_rows)
    wide = min(wide, len(references))
    rows = np.empty((count, wide), np.int64)
    cosines = np.empty((count, wide), np.float32)
    for start in range(0, count, QUERIES_PER_SEARCH):
        block = slice(start, start + QUERIES_PER_SEARCH)
        queries = np.ascontiguousarray(search.query_vectors[block])
        cosines[block], places = engine.top(queries, references, wide)
        rows[block] = search.reference_rows[places]
    return rows, cosines


def _crowding(cosines: Floats) -> Floats:
    """Mean cosine of the 2nd to 5th neighbour, ``[Q]``; 0 where there are fewer than two.

    Args:
        cosines: ``[Q, wide]``, NaN for the query itself.
    """
    others = -np.sort(-cosines, axis=1)[:, 1:CROWD_NEIGHBOURS]  # NaN goes last
    count = np.isfinite(others).sum(axis=1)
    return np.where(count > 0, np.nansum(others, axis=1) / np.maximum(count, 1), 0.0)


def _unique(first: I64, second: I64, cosines: F32, voted: VotedPairs, count: int) -> CandidatePairs:
    """Return every pair of ``count`` contents once, with its highest cosine and its most votes."""
    keys = _pair_keys(first, second, count)
    descending = np.argsort(-cosines, kind="stable")
    _, first_place = np.unique(keys[descending], return_index=True)
    unique = descending[first_place]  # by rising key
    votes = np.zeros(len(unique), dtype=np.float32)
    if len(voted.votes):
        voted_keys = _pair_keys(voted.first, voted.second, count)
        np.maximum.at(votes, np.searchsorted(keys[unique], voted_keys), voted.votes)
    return CandidatePairs(first[unique], second[unique], cosines[unique], votes, len(unique))


def _most_promising(pairs: CandidatePairs, crowding: Floats, budget: int) -> I64:
    """Return the places of the most promising pairs of a budget, best first."""
    votes = pairs.votes
    # A reference that was no query has no crowding of its own.
    standing_out = pairs.cosines - np.fmin(crowding[pairs.first], crowding[pairs.second])
    merged = np.minimum(4 * _rank(pairs.cosines), (4 * _rank(standing_out)) // 3)
    if votes.any():
        by_votes = np.where(votes > 0, 2 * _rank(votes), 2 * len(votes))
        merged = np.minimum(2 * merged, by_votes)
    best = np.lexsort((pairs.second, pairs.first, -pairs.cosines, merged))[:budget]
    return best.astype(np.int64)


def _pair_keys(first: I64, second: I64, count: int) -> I64:
    """Number every pair of ``count`` rows, regardless of its order."""
    return np.minimum(first, second) * np.int64(count) + np.maximum(first, second)


def _rank(values: Floats) -> I64:
    """Rank of every value, ``[P]``, 0 for the largest."""
    rank = np.empty(len(values), dtype=np.int64)
    rank[np.argsort(-values, kind="stable")] = np.arange(len(values))
    return rank


def cache_friendly_order(first: I64, second: I64) -> I64:
    """Order pairs so that neighbours share images, and a small cache of images serves most.

    Images are numbered by the reverse Cuthill-McKee algorithm on the graph of the pairs. All pairs
    of one first image follow each other: it is read mirrored and blurred as well, which takes
    longer than all that is needed of the second one.

    Args:
        first: int64 ``[P]`` rows of the images that are compared as queries.
        second: int64 ``[P]`` rows.

    Returns:
        int64 ``[P]`` places of the pairs.
    """
    if not len(first):
        return np.empty(0, dtype=np.int64)
    size = int(max(first.max(), second.max())) + 1
    ones = np.ones(2 * len(first), dtype=np.int8)
    edges = np.concatenate([first, second]), np.concatenate([second, first])
    graph = coo_matrix((ones, edges), shape=(size, size)).tocsr()
    order = reverse_cuthill_mckee(graph, symmetric_mode=True)
    place = np.empty(size, dtype=np.int64)
    place[order] = np.arange(size)
    return np.lexsort((place[second], place[first])).astype(np.int64)
