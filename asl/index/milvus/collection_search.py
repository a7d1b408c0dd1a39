"""Search of a Milvus collection: requests, certificates, and the pairs found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from asl.index.engines.protocol import ROUNDING
from asl.index.milvus.index_type import IndexKind
from asl.scoring.normalization import query_maps
from asl.scoring.score import Score, admissible, encode_queries, from_cosines, pair_cosines
from asl.types import (
    F32,
    F64,
    I64,
    AslError,
    BackgroundEmbeddings,
    Progress,
    QueryEmbeddings,
    ScoredPairs,
    StrArray,
)

_REQUEST_BYTES = 16 * 2**20  # a server refuses 64 MiB,
_LIST_BYTES = 48 * 2**20  # so that no list of one query may be longer than this
LONGEST_LIST = 16_384  # neighbours that a server returns for one query
_GROUP = 128  # queries of one request, and of one filter on the norm
_SLACK = 8  # more candidates than are asked for, so that most lists are certified at once
_APPROXIMATE_FACTOR = 4  # times as many candidates from an index that is not exact
_NORM_SLACK = 1e-4  # by which a filter on the norm is wider: a server compares in float32


@dataclass(frozen=True, eq=False)
class _Hits:
    """References that a server returned for one query.

    Attributes:
        ids: ``[m]``.
        log_norms: float32 ``[m]``.
        vectors: float32 ``[m, D + 2]`` encoded.
        last: smallest inner product among them; -inf without hits.
    """

    ids: StrArray
    log_norms: F32
    vectors: F32
    last: float

    @classmethod
    def of(cls, hits: Any, dim: int) -> _Hits:
        """Read a server's answer for one query."""
        entities = [hit["entity"] for hit in hits]
        vectors = np.array([entity["vector"] for entity in entities], dtype=np.float32)
        return cls(
            np.array([hit["id"] for hit in hits], dtype=np.str_),
            np.array([entity["log_norm"] for entity in entities], dtype=np.float32),
            vectors.reshape(len(hits), dim + 2),
            float(hits[-1]["distance"]) if len(hits) else -np.inf,
        )


class MilvusSearch:
    """One search of a collection."""

    def __init__(
        self,
        client: Any,
        name: str,
        queries: QueryEmbeddings,
        score: Score,
        k: int,
        count: int,
        background: BackgroundEmbeddings | None,
        kind: IndexKind,
        nprobe: int,
    ) -> None:
        self._client = client
        self._name = name
        self._queries = queries
        self._score = score
        self._kind = kind
        self._nprobe = nprobe
        self._k = min(k, count)
        self._count = count
        self._maps = query_maps(queries, background, score.normalization)
        inner = "soft" if score.mode == "soft" else "cosine"
        encoding = Score(inner, score.lam, clip=score.clip)  # type: ignore[arg-type]
        self._vectors = encode_queries(queries, encoding)
        if inner == "cosine":
            self._vectors[:, -2:] = 0.0
        self._found: list[tuple[int, StrArray, F64]] = []

    def run(self, progress: Progress | None = None) -> ScoredPairs:
        """Find the k best references of every query."""
        order = np.argsort(self._queries.log_norms, kind="stable")
        for start in range(0, len(order), _GROUP):
            self._search_group(order[start : start + _GROUP])
            if progress:
                progress(min(start + _GROUP, len(order)), len(order))
        self._found.sort(key=lambda item: item[0])
        lengths = [len(ids) for _, ids, _ in self._found]
        query = np.repeat([row for row, _, _ in self._found], lengths).astype(np.int64)
        ids = np.concatenate([ids for _, ids, _ in self._found])
        vocabulary, places = np.unique(ids, return_inverse=True)
        scores = np.concatenate([scores for _, _, scores in self._found]).astype(np.float32)
        return ScoredPairs(self._queries.ids, vocabulary, query, places.astype(np.int64), scores)

    def _search_group(self, rows: I64) -> None:
        """Search some queries; fetch lists without a certificate again, four times as long."""
        bytes_per_hit = 4 * (self._queries.dim + 2) + 256
        longest = max(1, min(LONGEST_LIST, _LIST_BYTES // bytes_per_hit))
        # The order of an approximate index may be wrong, and it may miss references.
        factor = 1 if self._kind.exact else _APPROXIMATE_FACTOR
        pending, m = rows, min(self._count, factor * (self._k + _SLACK), longest)
        while len(pending):
            answers = self._request(pending, m)
            # The longest lists of an approximate index are kept as they are.
            proved = m < self._count and (m < longest or self._kind.exact)
            unsure = [
                row
                for row in pending.tolist()
                if not self._take(row, next(answers), least=m if proved else None)
            ]
            if unsure and m == longest:
                query = str(self._queries.ids[unsure[0]])
                raise AslError(
                    f"milvus: a list of {m} does not prove the {self._k} best of {query!r}; "
                    "use a smaller k or an index of asl"
                )
            pending, m = np.array(unsure, dtype=np.int64), min(self._count, 4 * m, longest)

    def _request(self, rows: I64, m: int) -> Iterator[Any]:
        only = ""
        if self._score.mode == "strict":
            least = float(self._queries.log_norms[rows].min()) - self._score.tau - _NORM_SLACK
            only = f"log_norm >= {least:.6f}"
        step = max(1, _REQUEST_BYTES // (m * 4 * (self._queries.dim + 2)))
        for start in range(0, len(rows), step):
            yield from self._client.search(
                self._name,
                self._vectors[rows[start : start + step]].tolist(),
                limit=m,
                filter=only,
                search_params={"params": self._kind.searching(self._nprobe, m)},
                output_fields=["log_norm", "vector"],
                consistency_level="Strong",
            )

    def _take(self, row: int, answer: Any, *, least: int | None) -> bool:
        """Keep the list of a query, unless a longer one could be better.

        Args:
            row: of the query.
            answer: of the server.
            least: neighbours that were asked for; an answer with as many may leave out better
                references. None: any answer is kept.

        Returns:
            Whether it was kept. Of an approximate index that proves the list complete among the
            references that the index finds.
        """
        hits = _Hits.of(answer, self._queries.dim)
        scores = self._scores(row, hits)
        order = np.lexsort((hits.ids, -scores.astype(np.float32)))
        order = order[np.isfinite(scores[order])][: self._k]
        if len(hits.ids) == least:
            bound = self._bound(row, hits)
            if len(order) < self._k or not np.float32(scores[order[-1]]) > np.float32(bound):
                return False
        if self._score.mode == "paper":
            own = np.full(len(order), row)
            allowed = admissible(
                self._queries.log_norms[own], hits.log_norms[order], tau=self._score.tau
            )
            order = order[allowed]
        self._found.append((row, hits.ids[order], scores[order]))
        return True

    def _scores(self, row: int, hits: _Hits) -> F64:
        """Score the hits of a query in float64."""
        places, own = np.arange(len(hits.ids)), np.full(len(hits.ids), row)
        units = np.ascontiguousarray(hits.vectors[:, : self._queries.dim])
        cosines = pair_cosines(self._queries.vectors, units, own, places)
        # `paper` deletes from the list by cosine afterwards.
        mode = "cosine" if self._score.mode == "paper" else self._score.mode
        inner = Score(mode, self._score.lam, self._score.tau, self._score.clip)
        scores = from_cosines(cosines, self._queries.log_norms[own], hits.log_norms, inner)
        return self._maps.apply(scores, own)

    def _bound(self, row: int, hits: _Hits) -> float:
        """Bound the score of every reference that the server left out.

        For ``hinge`` the cosine itself is the bound: no norm makes a score larger.
        """
        added = float(np.abs(self._vectors[row, -2:]).max() * np.abs(hits.vectors[:, -2:]).max())
        bound = hits.last + ROUNDING * (1.0 + 2.0 * added)
        return float(self._maps.gain[row] * bound - self._maps.offset[row])
