"""Exact directional search: the best references of every query, for any score and any engine.

An engine only knows inner products in float32. Exactness comes from a certificate: candidates are
scored again in float64, and a list is complete when everything that the engine left out is below
its k-th score (or below the threshold, or below the N-th best pair of all queries). Lists without a
certificate are fetched again, four times as long.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from asl.counts import counted
from asl.index.engines.by_name import shared_engine
from asl.index.engines.norm_gain import NormGain, ScoringEngine
from asl.index.engines.protocol import Engine
from asl.index.exact.limits import Limits
from asl.index.exact.memory_cap import MemoryCap
from asl.index.exact.norm_sorted import NormSortedReferences
from asl.index.exact.strip_search import encoding_pays, nearest_top, penalised_top
from asl.index.exact.tiles import Tiles
from asl.index.exact.top_lists import TopLists
from asl.scoring.normalization import QueryMaps, query_maps
from asl.scoring.score import Score, admissible, from_cosines, pair_cosines
from asl.shared_defaults import NEIGHBOURS, SEARCH_MEMORY
from asl.types import (
    F32,
    F64,
    I32,
    I64,
    AslError,
    BackgroundEmbeddings,
    Bools,
    Progress,
    QueryEmbeddings,
    ReferenceEmbeddings,
    ScoredPairs,
)

_APPROXIMATE_FACTOR = 4  # times as many candidates from an index that is not exact
_LEAST_CHUNK = 2048  # queries between two reports of progress, at least
_REPORTS = 16  # reports of progress in a search, at most


def search(
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
    *,
    score: Score,
    k: int | I64 | None = NEIGHBOURS,
    most: int | None = None,
    above: float | None = None,
    engine: str | Engine = "auto",
    background: BackgroundEmbeddings | None = None,
    memory: float = SEARCH_MEMORY,
    progress: Progress | None = None,
) -> ScoredPairs:
    """Search the best references of every query, exactly.

    Args:
        queries: Q query embeddings.
        references: R reference embeddings; their vectors may be memory-mapped, they are read a tile
            at a time.
        score: score of a pair query -> reference; see :mod:`asl.scoring.score`.
        k: references per query, one number or int64 ``[Q]``; fewer where fewer are admissible
            (``paper``, ``strict``) or exist. None: all that ``most`` and ``above`` allow.
        most: pairs over all queries, the best ones (500,000 in the ISC 2021 challenge).
        above: smallest score of a pair.
        engine: a name for :func:`asl.index.engines.by_name.make_engine`, or an engine. An engine
            with a GPU holds the references for the next searches of the same array: write to a new
            array instead.
        background: needed where the score is normalised; training images, never references.
        memory: GiB that the search may take beside its inputs and its result.
        progress: called with (queries done, queries in all).

    Returns:
        Pairs ordered by query, then by (-score, reference id): the same for every engine that is
        exact. Equal scores at the border of ``most`` go to the earlier query.

    Raises:
        AslError: there is nothing to search, a limit is out of range, or the dimensions differ.

    >>> queries = QueryEmbeddings.from_features(["crop"], [[1.0, 0.1]])
    >>> references = ReferenceEmbeddings.from_features(["photo", "sky"], [[2.0, 0.2], [0.0, 1.0]])
    >>> pairs = search(queries, references, score=Score("hinge", lam=0.1), k=1)
    >>> pairs.reference_ids.tolist(), pairs.scores.round(3).tolist()
    (['photo'], [1.0])

    The photo is no copy of the crop: its norm is larger.

    >>> back = search(
    ...     references.as_queries(), queries.as_references(), score=Score("hinge", lam=0.1), k=1
    ... )
    >>> [f"{score:.3f}" for score in back.scores]
    ['0.931', '0.100']
    """
    _check(queries, references)
    chosen = shared_engine(engine) if isinstance(engine, str) else engine
    limits = Limits.of(k, most, above, shape=(len(queries), len(references)), mode=score.mode)
    maps = query_maps(queries, background, score.normalization)
    cap = MemoryCap.of(memory, dim=queries.dim)
    run = _Search(queries, references, score, chosen, limits, maps, cap)
    chunk = cap.queries
    if progress and not chosen.on_device:
        # Smaller chunks where somebody watches, but large enough for products of a useful size. A
        # device is quick enough to be watched in whole chunks.
        chunk = min(chunk, max(_LEAST_CHUNK, -(-len(queries) // _REPORTS)))
    for start in range(0, len(queries), chunk):
        stop = min(start + chunk, len(queries))
        run.find(np.arange(start, stop))
        if progress:
            progress(stop, len(queries))
    return ScoredPairs.between(queries, references, *run.result())


def _check(queries: QueryEmbeddings, references: ReferenceEmbeddings) -> None:
    if not isinstance(queries, QueryEmbeddings) or not isinstance(references, ReferenceEmbeddings):
        raise AslError(
            "search: takes queries, then references, "
            f"got {type(queries).__name__}, {type(references).__name__}; "
            "use .as_queries() and .as_references()"
        )
    if not len(queries) or not len(references):
        raise AslError(
            "search: needs at least one query and one reference, "
            f"got {counted(len(queries), 'query', 'queries')} and "
            f"{counted(len(references), 'reference')}; add images"
        )
    if queries.dim != references.dim:
        raise AslError(
            "search: queries and references must have the same dimensions, "
            f"got {queries.dim} and {references.dim}; embed both with the same model"
        )


class _Search:
    """State shared by all queries of one search, and the pairs found so far."""

    def __init__(
        self,
        queries: QueryEmbeddings,
        references: ReferenceEmbeddings,
        score: Score,
        engine: Engine,
        limits: Limits,
        maps: QueryMaps,
        cap: MemoryCap,
    ) -> None:
        self._queries = queries
        self._references = references
        self._score = score
        self._engine = engine
        self._limits = limits
        self._maps = maps
        self._cap = cap
        # Candidates are ordered by the cosine for `paper`, which deletes from that list afterwards.
        mode = "cosine" if score.mode == "paper" else score.mode
        self._candidate_score = replace(score, mode=mode, normalization=None)
        self._sorted = self._sort()
        self._tiles = self._tile()
        # Query rows, reference rows, scores; all pairs of a query are in one of them.
        self._found: list[tuple[I32, I32, F32]] = []
        # Scores of the best pairs found so far, where `most` limits them.
        self._best = np.empty(0, dtype=np.float32)

    def _sort(self) -> NormSortedReferences | None:
        """Sort the references by norm where the score needs it, or the engine holds them."""
        by_cosine = self._candidate_score.mode == "cosine"
        if not self._engine.exact or (by_cosine and not self._engine.on_device):
            return None
        result = NormSortedReferences.of(self._references, tau=self._score.tau, engine=self._engine)
        return None if by_cosine and result.held is None else result

    def _tile(self) -> Tiles:
        """Cut the references for searches by inner product."""
        score, width = self._candidate_score, self._cap.references
        if not self._engine.exact:
            # An approximate index retrieves by the cosine; scores and filters follow.
            score, width = replace(score, mode="cosine"), len(self._references)
        elif score.mode == "soft":
            width = self._cap.encoded
        else:
            score = replace(score, mode="cosine")
        return Tiles(self._references, score, self._engine, width)

    def _fetch(self, rows: I64, m: int) -> TopLists:
        """Fetch the m best candidates of some queries."""
        best = self._candidates(rows, m)
        if self._engine.exact:  # candidates by cosine are not ordered by the score yet
            best.drop_beyond(np.minimum(self._limits.k[rows], m))
        return best

    def _candidates(self, rows: I64, m: int) -> TopLists:
        references = self._sorted
        if references is not None and isinstance(self._engine, ScoringEngine):
            best = self._scored(self._engine, references, rows, m)
            if best is not None:
                return best
        width = self._cap.references
        score = self._candidate_score
        cost = self._engine.list_entry_cost
        if references is None or (
            score.mode == "soft"
            and encoding_pays(len(rows), references, m, score, list_entry_cost=cost)
        ):
            return self._tiles.top(self._queries, rows, m)
        if score.mode in ("cosine", "strict"):
            lengths = (
                references.lengths(self._queries.log_norms[rows])
                if score.mode == "strict"
                else np.full(len(rows), len(self._references), dtype=np.int64)
            )
            vectors = self._queries.vectors[rows]
            best = nearest_top(vectors, lengths, references, m, self._engine, width=width)
        else:
            k = np.minimum(self._limits.k[rows], m)
            best = penalised_top(
                self._queries, rows, references, m, self._engine, score=score, k=k, width=width
            )
        best.rows = references.original(best.rows)
        return best

    def _scored(
        self, engine: ScoringEngine, references: NormSortedReferences, rows: I64, m: int
    ) -> TopLists | None:
        """Fetch candidates by their scores at once, where the engine can and it pays."""
        norms = self._queries.log_norms[rows], references.log_norms
        gain = NormGain(self._candidate_score, *norms, references.order)
        lists = engine.top_scores(self._queries.vectors[rows], references.vectors, m, gain)
        if lists is None:
            return None
        best = TopLists(len(rows), m)
        best.scores, best.rows = lists[0], references.original(lists[1])
        best.rounding = engine.rounding + 2.0**-22 * (gain.largest() + 1.0)
        best.bound = best.scores[:, -1].astype(np.float64) + best.rounding
        return best

    def find(self, rows: I64) -> None:
        """Find the pairs of some queries (int64 ``[Q']`` rows)."""
        if self._score.mode == "strict" and self._sorted is not None:
            lengths = self._sorted.lengths(self._queries.log_norms[rows])
            rows = rows[np.argsort(lengths, kind="stable")]
        factor = 1 if self._engine.exact else _APPROXIMATE_FACTOR
        pending = [(rows, self._limits.first_fetch() * factor)]
        while pending:
            part, m = pending.pop()
            m = min(m, len(self._references))
            if len(part) > 1 and len(part) * m > self._cap.candidates:
                half = len(part) // 2
                pending += [(part[half:], m), (part[:half], m)]
                continue
            unsure = self._find_once(part, m)
            if len(unsure):
                pending.append((unsure, 4 * m))

    def _find_once(self, rows: I64, m: int) -> I64:
        """Keep the lists that are certainly complete; return the queries of the others."""
        best = self._fetch(rows, m)
        bound = best.bound
        candidates, scores = self._ordered(rows, best.rows)
        rounded, k = scores.astype(np.float32), self._limits.k[rows]
        upper = self._maps.apply(bound, rows).astype(np.float32)
        last = np.take_along_axis(rounded, np.minimum(k - 1, m - 1)[:, None], axis=1)[:, 0]
        keep = (candidates >= 0) & (np.arange(m)[None, :] < k[:, None])
        floor = -np.inf
        if self._score.mode != "paper":
            keep &= rounded >= self._limits.above
            floor = self._floor(rounded[keep])
            keep &= rounded >= floor
        sure = np.isneginf(bound) | ((k <= m) & (last > upper)) | (upper < floor)
        if not self._engine.exact or m == len(self._references):
            sure[:] = True
        self._keep(rows[sure], candidates[sure], scores[sure], keep[sure])
        return rows[~sure]

    def _floor(self, scores: F32) -> float:
        """Return the score below which no pair can be in the result, given some more pairs."""
        floor, most = self._limits.above, self._limits.most
        if most is not None and len(self._best) + len(scores) >= most:
            together = np.concatenate([self._best, scores])
            floor = max(floor, float(np.partition(together, -most)[-most]))
        return floor

    def _keep(self, rows: I64, candidates: I64, scores: F64, keep: Bools) -> None:
        query, place = np.nonzero(keep)
        query_rows = rows[query].astype(np.int32)
        reference_rows = candidates[query, place].astype(np.int32)
        best = scores[query, place].astype(np.float32)
        if self._score.mode == "paper":
            allowed = admissible(
                self._queries.log_norms[query_rows],
                self._references.log_norms[reference_rows],
                tau=self._score.tau,
            )
            allowed &= best >= self._limits.above
            query_rows = query_rows[allowed]
            reference_rows = reference_rows[allowed]
            best = best[allowed]
        self._found.append((query_rows, reference_rows, best))
        most = self._limits.most
        if most is not None:
            self._best = np.concatenate([self._best, best])
            if len(self._best) > most:
                self._best = np.partition(self._best, -most)[-most:]

    def result(self) -> tuple[I64, I64, F32]:
        """Return query rows, reference rows and scores, by query, then by (-score, id)."""
        # Column by column, each freed when it is joined: two copies of all would be the peak of a
        # search.
        parts = [list(part) for part in self._found]
        self._found.clear()
        query, rows, scores = (np.concatenate([part.pop(0) for part in parts]) for _ in range(3))
        order = np.argsort(query, kind="stable")  # a query's list is in order already
        if self._limits.most is not None:
            best = np.argsort(-scores[order], kind="stable")[: self._limits.most]
            order = order[np.sort(best)]
        query = query[order].astype(np.int64)
        rows = rows[order].astype(np.int64)
        return query, rows, scores[order]

    def _ordered(self, rows: I64, candidates: I64) -> tuple[I64, F64]:
        """Score candidates in float64 and sort them by (-score as float32, reference id).

        Args:
            rows: int64 ``[Q']`` queries.
            candidates: int64 ``[Q', m]`` reference rows, -1 for an empty place.

        Returns:
            The candidates and float64 ``[Q', m]`` scores, missing ones last.
        """
        count, m = candidates.shape
        valid = candidates >= 0
        query, reference = np.repeat(rows, m)[valid.ravel()], candidates[valid]
        cosines = pair_cosines(self._queries.vectors, self._references.vectors, query, reference)
        query_norms = self._queries.log_norms[query]
        reference_norms = self._references.log_norms[reference]
        scores = np.full((count, m), -np.inf)
        scores[valid] = from_cosines(cosines, query_norms, reference_norms, self._candidate_score)
        scores = np.where(valid, self._maps.apply(scores, rows), -np.inf)
        keys = -scores.astype(np.float32)
        order = np.argsort(keys, axis=1, kind="stable")
        ranked = np.take_along_axis(keys, order, axis=1)
        equal = (ranked[:, 1:] == ranked[:, :-1]) & np.isfinite(ranked[:, 1:])
        tied = np.flatnonzero(equal.any(axis=1))
        if len(tied):  # ids are text and slow to sort: only where they decide
            names = self._references.ids[np.maximum(candidates[tied], 0)]
            places = np.unique(names, return_inverse=True)[1].reshape(len(tied), m)
            order[tied] = np.lexsort((places, keys[tied]), axis=1)
        candidates = np.where(np.isfinite(scores), candidates, -1)
        ordered = np.take_along_axis(candidates, order, axis=1)
        return ordered, np.take_along_axis(scores, order, axis=1)
