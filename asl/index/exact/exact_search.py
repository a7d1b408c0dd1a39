"""Exact directional search: the best references of every query under any score, with any engine.

An engine only knows inner products in float32. Exactness comes from a certificate: what the engine
returns is scored again in float64, and a list is complete when everything that the engine left out
is below its k-th score (or below the threshold, or below the N-th best pair of all queries). Lists
that are not are fetched again, four times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from asl.index.engines.faiss_flat import FaissFlat
from asl.index.engines.protocol import Engine, NumpyExact
from asl.index.engines.tensorcore import TensorCore, cuda_devices
from asl.index.exact.limits import Limits
from asl.index.exact.norm_sorted import NormSortedReferences
from asl.index.exact.strips import encoding_pays, penalised_top, strict_top
from asl.index.exact.tiles import Tiles
from asl.index.exact.top_lists import TopLists
from asl.scoring.normalization import QueryMaps, query_maps
from asl.scoring.score import Score, admissible, from_cosines, pair_cosines
from asl.types import (
    F32,
    I64,
    AslError,
    BackgroundEmbeddings,
    QueryEmbeddings,
    ReferenceEmbeddings,
    ScoredPairs,
    UsageError,
)

_ENCODED = 2**27  # bytes of references that are written in D + 2 dimensions at once
_OVER = 4  # times as many candidates from an index that is not exact
_F64 = npt.NDArray[np.float64]
_I32 = npt.NDArray[np.int32]
Progress = Callable[[int, int], None]


def make_engine(name: str) -> Engine:
    """An engine by its name.

    ``exact`` (numpy), ``faiss`` (every GPU, else the CPU), ``tensorcore`` (one GPU; without one it
    is FAISS), ``auto`` (tensorcore where there is one GPU, else FAISS). What was taken is in the
    ``name`` of the engine.

    Raises:
        UsageError: no such engine.
    """
    if name == "exact":
        return NumpyExact()
    if name in ("auto", "faiss", "tensorcore"):
        engine = FaissFlat()
        # What FAISS sees torch need not see: they may be built for other drivers.
        if name == "tensorcore" or (name == "auto" and engine.gpus == 1):
            devices = cuda_devices()
            if devices == 1 or (devices and name == "tensorcore"):
                return TensorCore()
        return engine
    raise UsageError(f"engine: expected auto, exact, faiss or tensorcore, got {name!r}")


def search(
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
    *,
    score: Score,
    k: int | I64 | None = 10,
    most: int | None = None,
    above: float | None = None,
    engine: str | Engine = "auto",
    background: BackgroundEmbeddings | None = None,
    memory: float = 4.0,
    progress: Progress | None = None,
) -> ScoredPairs:
    """The best references of every query, exactly.

    Args:
        queries: Q query embeddings.
        references: R reference embeddings; their vectors may be memory-mapped, they are read a tile
            at a time.
        score: which score; see :mod:`asl.scoring.score`.
        k: references per query, one number or int64 ``[Q]``; fewer where fewer are admissible
            (``paper``, ``strict``) or exist. None: as many as ``most`` and ``above`` allow.
        most: only the so many best pairs over all queries (500,000 in the ISC 2021 challenge).
        above: only pairs with at least this score.
        engine: a name for :func:`make_engine`, or an engine, which may keep references (on a GPU,
            as an index) for the next search of the same array: write to a new one instead.
        background: needed where the score is normalised; training images, never references.
        memory: GiB that the search may take beside its inputs and its result (``strict`` also sorts
            a copy of references that are not sorted by falling log-norm).
        progress: called with (queries done, queries to do).

    Returns:
        Pairs ordered by query, then by (-score, reference id): the same for every engine that is
        exact. Equal scores at the border of ``most`` go to the earlier query.

    Raises:
        AslError: nothing to search, a limit that makes no sense, or embeddings of different
            dimensions.
    """
    _check(queries, references)
    tool = make_engine(engine) if isinstance(engine, str) else engine
    limits = Limits.of(k, most, above, shape=(len(queries), len(references)), mode=score.mode)
    maps = query_maps(queries, background, score.normalization)
    finder = _Finder(queries, references, score, tool, limits, maps, memory)
    # Fewer at a time where somebody watches, but enough for products of a useful size.
    chunk = min(finder.chunk, max(2048, -(-len(queries) // 16))) if progress else finder.chunk
    for start in range(0, len(queries), chunk):
        stop = min(start + chunk, len(queries))
        finder.find(np.arange(start, stop))
        if progress:
            progress(stop, len(queries))
    return ScoredPairs.between(queries, references, *finder.result())


def _check(queries: QueryEmbeddings, references: ReferenceEmbeddings) -> None:
    if not isinstance(queries, QueryEmbeddings) or not isinstance(references, ReferenceEmbeddings):
        raise AslError(
            f"search: takes queries, then references; got {type(queries).__name__}, {type(references).__name__} "
            "(use .as_queries() and .as_references())"
        )
    if not len(queries) or not len(references):
        raise AslError(
            f"search: nothing to search, {len(queries)} queries and {len(references)} references"
        )
    if queries.dim != references.dim:
        raise AslError(
            f"search: queries have {queries.dim} dimensions, references {references.dim}; are they of the same model?"
        )


class _Finder:
    """Holds what all queries of one search share, and the pairs found so far."""

    def __init__(
        self,
        queries: QueryEmbeddings,
        references: ReferenceEmbeddings,
        score: Score,
        engine: Engine,
        limits: Limits,
        maps: QueryMaps,
        memory: float,
    ) -> None:
        self._q, self._r, self._score, self._limits = queries, references, score, limits
        self._maps = maps
        # What the candidates are ordered by: `paper` deletes from the cosine's list afterwards.
        mode = "cosine" if score.mode == "paper" else score.mode
        self._inner = replace(score, mode=mode, normalization=None)
        if memory <= 0:
            raise UsageError(f"memory: must be more than 0 GiB, got {memory}")
        self._cells = int(memory * 2**30) // 4 // 128  # candidates that may be held at once
        row, held = 4 * (queries.dim + 2), int(memory * 2**30) // 4
        self.chunk, width = min(max(64, held // row), 2**16), max(1024, held // row)
        sorts = mode != "cosine" and engine.exact
        self._prefixes = NormSortedReferences.of(references, tau=score.tau) if sorts else None
        # An index that is not exact proposes by the cosine; that is scored and filtered afterwards.
        proposed = (
            self._inner if engine.exact and mode == "soft" else replace(self._inner, mode="cosine")
        )
        tile = min(width, max(1024, _ENCODED // row)) if proposed.mode == "soft" else width
        self._tiles, self._width = (
            Tiles(references, proposed, engine, tile if engine.exact else len(references)),
            width,
        )
        if isinstance(engine, TensorCore):
            in_place = self._prefixes is None or self._prefixes.order is None
            engine.hold(references.vectors if in_place else None)
        self._parts: list[
            tuple[_I32, _I32, F32]
        ] = []  # query rows, reference rows, scores; a query is in one of them
        self._best = np.empty(
            0, dtype=np.float32
        )  # of the pairs found so far, where only the best are wanted

    def _fetch(self, rows: I64, m: int) -> TopLists:
        engine, width, mode = self._tiles.engine, self._width, self._score.mode
        k = np.minimum(self._limits.k[rows], m)
        prefixes = self._prefixes
        if prefixes is None or (
            mode == "soft" and encoding_pays(len(rows), prefixes, m, self._inner)
        ):
            best = self._tiles.top(self._q, rows, m)
        else:
            if mode == "strict":
                best = strict_top(self._q, rows, prefixes, m, engine, width=width)
            else:
                best = penalised_top(
                    self._q, rows, prefixes, m, engine, score=self._inner, k=k, width=width
                )
            best.rows = prefixes.original(best.rows)
        if engine.exact:  # else what was proposed by cosine is not ordered by the score yet
            best.drop_beyond(k)
        return best

    def find(self, rows: I64) -> None:
        """Find the pairs of some queries."""
        if self._score.mode == "strict" and self._prefixes is not None:
            rows = rows[np.argsort(self._prefixes.lengths(self._q.log_norms[rows]), kind="stable")]
        waiting = [(rows, self._limits.first_fetch() * (1 if self._tiles.engine.exact else _OVER))]
        while waiting:
            part, m = waiting.pop()
            m = min(m, len(self._r))
            if len(part) > 1 and len(part) * m > self._cells:
                half = len(part) // 2
                waiting += [(part[half:], m), (part[:half], m)]
                continue
            unsure = self._find_once(part, m)
            if len(unsure):
                waiting.append((unsure, 4 * m))

    def _find_once(self, rows: I64, m: int) -> I64:
        """Keep the lists that are sure to be complete; the queries of the others."""
        best = self._fetch(rows, m)
        bound, (here, scores) = best.bound, self._ordered(rows, best.rows)
        rounded, k = scores.astype(np.float32), self._limits.k[rows]
        upper = self._maps.apply(bound, rows).astype(np.float32)
        last = np.take_along_axis(rounded, np.minimum(k - 1, m - 1)[:, None], axis=1)[:, 0]
        wanted = (here >= 0) & (np.arange(m)[None, :] < k[:, None])
        floor = -np.inf
        if self._score.mode != "paper":
            wanted &= rounded >= self._limits.above
            floor = self._floor(rounded[wanted])
            wanted &= rounded >= floor
        sure = (
            np.isneginf(bound) | ((k <= m) & (last > upper)) | (upper < floor) | (m == len(self._r))
        )
        sure |= not self._tiles.engine.exact
        self._keep(rows[sure], here[sure], scores[sure], wanted[sure])
        return rows[~sure]

    def _floor(self, found: npt.NDArray[np.float32]) -> float:
        """Score below which no pair can belong to the result, given some more pairs."""
        floor, most = self._limits.above, self._limits.most
        if most is not None and len(self._best) + len(found) >= most:
            joined = np.concatenate([self._best, found])
            floor = max(floor, float(np.partition(joined, -most)[-most]))
        return floor

    def _keep(self, rows: I64, here: I64, scores: _F64, wanted: npt.NDArray[np.bool_]) -> None:
        query, place = np.nonzero(wanted)
        best = scores[query, place].astype(np.float32)
        part = rows[query].astype(np.int32), here[query, place].astype(np.int32), best
        if self._score.mode == "paper":
            allowed = admissible(
                self._q.log_norms[part[0]], self._r.log_norms[part[1]], tau=self._score.tau
            )
            allowed &= best >= self._limits.above
            part = part[0][allowed], part[1][allowed], best[allowed]
        self._parts.append(part)
        if self._limits.most is not None:
            self._best = np.concatenate([self._best, part[2]])
            if len(self._best) > self._limits.most:
                self._best = np.partition(self._best, -self._limits.most)[-self._limits.most :]

    def result(self) -> tuple[I64, I64, F32]:
        """Query rows, reference rows and scores, by query, then by (-score, id)."""
        # Column by column, each freed when it is joined: all of it twice would be the peak of a
        # search.
        parts = [list(part) for part in self._parts]
        self._parts.clear()
        query, rows, scores = (np.concatenate([part.pop(0) for part in parts]) for _ in range(3))
        order = np.argsort(query, kind="stable")  # a query's list is in order already
        if self._limits.most is not None:
            best = np.argsort(-scores[order], kind="stable")[: self._limits.most]
            order = order[np.sort(best)]
        query = query[order].astype(np.int64)
        rows = rows[order].astype(np.int64)
        return query, rows, scores[order]

    def _ordered(self, rows: I64, candidates: I64) -> tuple[I64, _F64]:
        """Candidates scored in float64 and sorted by (-score as float32, reference id), missing ones last."""
        count, m = candidates.shape
        valid = candidates >= 0
        query, found = np.repeat(rows, m)[valid.ravel()], candidates[valid]
        cosines = pair_cosines(self._q.vectors, self._r.vectors, query, found)
        scores = np.full((count, m), -np.inf)
        scores[valid] = from_cosines(
            cosines, self._q.log_norms[query], self._r.log_norms[found], self._inner
        )
        scores = np.where(valid, self._maps.apply(scores, rows), -np.inf)
        keys = -scores.astype(np.float32)
        order = np.argsort(keys, axis=1, kind="stable")
        ranked = np.take_along_axis(keys, order, axis=1)
        tied = np.flatnonzero(
            ((ranked[:, 1:] == ranked[:, :-1]) & np.isfinite(ranked[:, 1:])).any(axis=1)
        )
        if len(tied):  # ids are text and slow to sort: only where they decide
            names = np.unique(self._r.ids[np.maximum(candidates[tied], 0)], return_inverse=True)[
                1
            ].reshape(len(tied), m)
            order[tied] = np.lexsort((names, keys[tied]), axis=1)
        candidates = np.where(np.isfinite(scores), candidates, -1)
        return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(
            scores, order, axis=1
        )
