"""Exact directional search: the k best references of every query under any score, with any engine.

An engine only knows inner products in float32. Exactness comes from a certificate: what the engine returns is scored
again in float64, and a list is complete when its k-th score is above everything that the engine left out. Lists that
are not are fetched again, four times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asl.index.engine import Engine, Exact
from asl.index.faiss import Faiss
from asl.index.strict import Prefixes, strict_top
from asl.scoring.score import (
    Score,
    admissible,
    encode_queries,
    encode_references,
    from_cosines,
    pair_cosines,
    query_offsets,
)
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

_SLACK = 8  # more than k, so that most lists are certified at the first fetch
_CHUNK = 8192  # queries that are searched together; bounds the memory
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Fetched:
    """Candidates of some queries; ``rows`` -1 where there is none.

    Attributes:
        rows: int64 ``[Q, m]`` rows of the references.
        bound: float64 ``[Q]`` no reference left out can have a score above this (-inf: none is left out).
    """

    rows: I64
    bound: npt.NDArray[np.float64]


Fetch = Callable[[I64, int], Fetched]


def make_engine(name: str) -> Engine:
    """An engine by its name: ``exact``, ``faiss`` (every GPU, else the CPU) or ``auto``.

    Raises:
        UsageError: no such engine.
    """
    if name == "exact":
        return Exact()
    if name in ("auto", "faiss"):
        return Faiss()
    raise UsageError(f"engine: expected auto, exact or faiss, got {name!r}")


def search(
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
    *,
    score: Score,
    k: int = 10,
    engine: str | Engine = "auto",
    background: BackgroundEmbeddings | None = None,
    progress: Progress | None = None,
) -> ScoredPairs:
    """The k best references of every query, exactly.

    Args:
        queries: Q query embeddings.
        references: R reference embeddings.
        score: which score; see :mod:`asl.scoring.score`.
        k: references per query; fewer where fewer are admissible (``paper``, ``strict``) or exist.
        engine: a name for :func:`make_engine`, or an engine.
        background: needed where the score is normalised; training images, never references.
        progress: called with (queries done, queries to do).

    Returns:
        Pairs ordered by query, then by (-score, reference id): the same for every engine.

    Raises:
        AslError: nothing to search, k below 1, or embeddings of different dimensions.
    """
    _check(queries, references, k)
    tool = make_engine(engine) if isinstance(engine, str) else engine
    offsets = query_offsets(queries, background, score)
    finder = _Finder(queries, references, score, tool, min(k, len(references)), offsets)
    found = []
    for start in range(0, len(queries), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(queries)))
        found.append(finder.best(rows))
        if progress:
            progress(int(rows[-1]) + 1, len(queries))
    top = np.concatenate([part[0] for part in found])
    values = np.concatenate([part[1] for part in found])
    query_index, place = np.nonzero(top >= 0)
    return ScoredPairs(
        queries.ids, references.ids, query_index, top[query_index, place],
        values[query_index, place].astype(np.float32),
    )  # fmt: skip


def _check(queries: QueryEmbeddings, references: ReferenceEmbeddings, k: int) -> None:
    if not isinstance(queries, QueryEmbeddings) or not isinstance(references, ReferenceEmbeddings):
        raise AslError(
            f"search: takes queries, then references; got {type(queries).__name__}, {type(references).__name__} "
            "(use .as_queries() and .as_references())"
        )
    if not len(queries) or not len(references):
        raise AslError(f"search: nothing to search, {len(queries)} queries and {len(references)} references")
    if k < 1:
        raise AslError(f"k: must be 1 or more, got {k}")
    if queries.dim != references.dim:
        raise AslError(
            f"search: queries have {queries.dim} dimensions, references {references.dim}; are they of the same model?"
        )


class _Finder:
    """Holds what all queries of one search share."""

    def __init__(
        self,
        queries: QueryEmbeddings,
        references: ReferenceEmbeddings,
        score: Score,
        engine: Engine,
        k: int,
        offsets: npt.NDArray[np.float64] | None,
    ) -> None:
        self._q, self._r, self._score, self._engine, self._k = queries, references, score, engine, k
        self._offsets = np.zeros(len(queries)) if offsets is None else offsets
        self._id_rank = np.empty(len(references), dtype=np.int64)
        self._id_rank[np.argsort(references.ids, kind="stable")] = np.arange(len(references))
        # What the candidates are ordered by: `paper` deletes from the cosine's list afterwards.
        self._inner = Score("cosine") if score.mode == "paper" else score
        self._fetch = self._fetcher()

    def _fetcher(self) -> Fetch:
        if self._score.mode == "strict":
            prefixes = Prefixes.of(self._r, tau=self._score.tau)
            return lambda rows, m: Fetched(*strict_top(self._q, rows, prefixes, m, self._engine))
        if self._score.mode == "soft":
            left, right = encode_queries(self._q, self._without_offset()), encode_references(self._r, self._score)
        else:
            left, right = np.ascontiguousarray(self._q.vectors), np.ascontiguousarray(self._r.vectors)
        # The rounding of unit vectors grows with the length that the two extra dimensions add.
        length = float(
            np.abs(left[:, self._q.dim :]).max(initial=0.0) * np.abs(right[:, self._r.dim :]).max(initial=0.0)
        )
        rounding = self._engine.rounding * (1.0 + 2.0 * length)

        def fetch(rows: I64, m: int) -> Fetched:
            products, found = self._engine.top(np.ascontiguousarray(left[rows]), right, m)
            complete = m >= len(self._r)
            bound = np.full(len(rows), -np.inf) if complete else products[:, -1].astype(np.float64) + rounding
            return Fetched(found, bound)

        return fetch

    def _without_offset(self) -> Score:
        return Score(self._score.mode, self._score.lam, self._score.tau, self._score.clip)

    def best(self, rows: I64) -> tuple[I64, npt.NDArray[np.float64]]:
        """``[Q', k]`` reference rows (-1: none) and scores of some queries, ordered by (-score, id)."""
        top = np.full((len(rows), self._k), -1, dtype=np.int64)
        values = np.full((len(rows), self._k), -np.inf)
        pending, m = np.arange(len(rows)), min(len(self._r), self._k + _SLACK)
        while len(pending):
            fetched = self._fetch(rows[pending], m)
            here, scores = self._ordered(rows[pending], fetched.rows)
            bound = (fetched.bound - self._offsets[rows[pending]]).astype(np.float32)
            sure = scores[:, self._k - 1].astype(np.float32) > bound
            done = sure | np.isneginf(fetched.bound)
            top[pending[done]], values[pending[done]] = here[done, : self._k], scores[done, : self._k]
            pending, m = pending[~done], min(len(self._r), 4 * m)
        if self._score.mode == "paper":
            self._delete_inadmissible(rows, top, values)
        return top, values

    def _ordered(self, rows: I64, candidates: I64) -> tuple[I64, npt.NDArray[np.float64]]:
        """Candidates scored in float64 and sorted by (-score as float32, reference id), missing ones last."""
        count, m = candidates.shape
        valid = candidates >= 0
        at = np.where(valid, candidates, 0)
        query = np.repeat(rows, m)
        cosines = pair_cosines(self._q.vectors, self._r.vectors, query, at.ravel())
        norms = self._q.log_norms[query], self._r.log_norms[at.ravel()]
        scores = from_cosines(cosines, *norms, self._inner).reshape(count, m) - self._offsets[rows][:, None]
        scores = np.where(valid, scores, -np.inf)
        keys = -scores.astype(np.float32)
        order = np.lexsort((self._id_rank[at], keys), axis=1)
        candidates = np.where(np.isfinite(scores), candidates, -1)
        return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(scores, order, axis=1)

    def _delete_inadmissible(self, rows: I64, top: I64, values: npt.NDArray[np.float64]) -> None:
        norms: F32 = self._r.log_norms[top]
        kept = (top >= 0) & admissible(self._q.log_norms[rows][:, None], norms, tau=self._score.tau)
        top[~kept], values[~kept] = -1, -np.inf
