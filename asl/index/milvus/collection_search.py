"""One search of a Milvus collection: requests, certificates, what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from asl.index.engines.protocol import ROUNDING
from asl.index.milvus.index_type import IndexKind
from asl.scoring.normalization import query_maps
from asl.scoring.score import Score, admissible, encode_queries, from_cosines, pair_cosines
from asl.types import I64, AslError, BackgroundEmbeddings, QueryEmbeddings, ScoredPairs, StrArray

_BYTES = 16 * 2**20  # per request; a server refuses 64 MiB,
_LARGEST = 48 * 2**20  # so that no list of one query may be longer than this
MOST = 16_384  # neighbours that a server returns for one query
_GROUP = 128  # queries of one request, and of one filter on the norm
_SLACK = 8
_OVER = 4  # times as many candidates from an index that is not exact
_F64 = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]


class MilvusSearch:
    """One search: requests, certificates, what was found."""

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
        self._client, self._name, self._q, self._score = client, name, queries, score
        self._kind, self._nprobe = kind, nprobe
        self._k, self._count = min(k, count), count
        self._maps = query_maps(queries, background, score.normalization)
        inner = "soft" if score.mode == "soft" else "cosine"
        self._vectors = encode_queries(queries, Score(inner, score.lam, clip=score.clip))  # type: ignore[arg-type]
        if inner == "cosine":
            self._vectors[:, -2:] = 0.0
        self._found: list[tuple[int, StrArray, _F64]] = []

    def run(self, progress: Progress | None = None) -> ScoredPairs:
        """The k best references of every query."""
        order = np.argsort(self._q.log_norms, kind="stable")
        for start in range(0, len(order), _GROUP):
            self._group(order[start : start + _GROUP])
            if progress:
                progress(min(start + _GROUP, len(order)), len(order))
        self._found.sort(key=lambda item: item[0])
        lengths = [len(names) for _, names, _ in self._found]
        query = np.repeat([row for row, _, _ in self._found], lengths).astype(np.int64)
        names = np.concatenate([names for _, names, _ in self._found])
        vocabulary, places = np.unique(names, return_inverse=True)
        values = np.concatenate([values for _, _, values in self._found]).astype(np.float32)
        return ScoredPairs(self._q.ids, vocabulary, query, places.astype(np.int64), values)

    def _group(self, rows: I64) -> None:
        most = max(1, min(MOST, _LARGEST // (4 * (self._q.dim + 2) + 256)))
        over = (
            1 if self._kind.exact else _OVER
        )  # no list is proved then, and the order of its candidates may be wrong
        pending, m = rows, min(self._count, over * (self._k + _SLACK), most)
        while len(pending):
            hits = self._request(pending, m)
            again = [row for row in pending.tolist() if not self._take(row, next(hits), m)]
            if again and m == most:
                raise AslError(
                    f"milvus: a list of {m} does not prove the {self._k} best of {str(self._q.ids[again[0]])!r}; "
                    "use a smaller k or an index of asl"
                )
            pending, m = np.array(again, dtype=np.int64), min(self._count, 4 * m, most)

    def _request(self, rows: I64, m: int) -> Iterator[Any]:
        only = ""
        if self._score.mode == "strict":
            # A little below the smallest admissible norm: the server compares in its own precision.
            only = (
                f"log_norm >= {float(self._q.log_norms[rows].min()) - self._score.tau - 1e-4:.6f}"
            )
        step = max(1, _BYTES // (m * 4 * (self._q.dim + 2)))
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

    def _take(self, row: int, hits: Any, m: int) -> bool:
        """Keep the list of a query if it is proved complete."""
        entities = [hit["entity"] for hit in hits]
        names = np.array([hit["id"] for hit in hits], dtype=np.str_)
        norms = np.array([entity["log_norm"] for entity in entities], dtype=np.float32)
        vectors = np.array([entity["vector"] for entity in entities], dtype=np.float32)
        vectors = vectors.reshape(len(hits), self._q.dim + 2)
        here, own = np.arange(len(hits)), np.full(len(hits), row)
        cosines = pair_cosines(
            self._q.vectors, np.ascontiguousarray(vectors[:, : self._q.dim]), own, here
        )
        mode = "cosine" if self._score.mode == "paper" else self._score.mode
        inner = Score(mode, self._score.lam, self._score.tau, self._score.clip)
        scores = self._maps.apply(from_cosines(cosines, self._q.log_norms[own], norms, inner), own)
        order = np.lexsort((names, -scores.astype(np.float32)))
        order = order[np.isfinite(scores[order])][: self._k]
        if self._kind.exact and len(hits) == m < self._count:
            # For `hinge` the cosine itself is the bound: no norm makes a score larger.
            length = float(np.abs(self._vectors[row, -2:]).max() * np.abs(vectors[:, -2:]).max())
            bound = hits[-1]["distance"] + ROUNDING * (1.0 + 2.0 * length)
            bound = self._maps.gain[row] * bound - self._maps.offset[row]
            if len(order) < self._k or not np.float32(scores[order[-1]]) > np.float32(bound):
                return False
        if self._score.mode == "paper":
            allowed = admissible(self._q.log_norms[own[order]], norms[order], tau=self._score.tau)
            order = order[allowed]
        self._found.append((row, names[order], scores[order]))
        return True
