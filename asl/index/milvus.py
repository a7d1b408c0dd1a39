"""Milvus: references on a server (or in an embedded milvus-lite file) by the same code; only the address differs.

A collection keeps for each image its id (the primary key), its log-norm and the vector [u, clip(n), 1] of D + 2
dimensions (see :func:`asl.scoring.score.encode_queries`), so that ``soft`` is served as an inner product and the other
modes by a query vector with two zeros. ``strict`` pushes a filter on the log-norm down, one for a group of queries of
similar norm, and drops the rest here. All lists are scored again in float64 and proved complete, or fetched again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from asl.index.engine import ROUNDING
from asl.scoring.normalization import query_maps
from asl.scoring.score import Score, admissible, encode_queries, encode_references, from_cosines, pair_cosines
from asl.types import (
    I64,
    AslError,
    BackgroundEmbeddings,
    QueryEmbeddings,
    ReferenceEmbeddings,
    ScoredPairs,
    StrArray,
)

_BYTES = 16 * 2**20  # per request; a server refuses 64 MiB
_MOST = 16_384  # neighbours that a server returns for one query
_GROUP = 128  # queries of one request, and of one filter on the norm
_SLACK = 8
_F64 = npt.NDArray[np.float64]


class MilvusIndex:
    """References in a Milvus collection: add, remove, search exactly."""

    def __init__(
        self,
        uri: str,
        *,
        dim: int,
        collection: str = "references",
        clip: tuple[float, float] | None = None,
        token: str = "",
        index_type: str = "FLAT",
    ) -> None:
        """Open a collection, or make it.

        Args:
            uri: a file name that ends in ``.db`` (milvus-lite) or the address of a server.
            dim: D of the embeddings.
            collection: its name.
            clip: range of log-norms for ``soft``; fixed when the collection is made.
            token: of the server.
            index_type: ``FLAT`` keeps every answer exact; others (``HNSW`` ...) only what they find.

        Raises:
            AslError: pymilvus is missing, the server cannot be reached, or the collection is of another dimension.
        """
        try:
            from pymilvus import MilvusClient, MilvusException
        except ImportError as error:
            raise AslError("milvus: pymilvus is not installed: `pip install 'asl-icd[milvus]'`") from error
        self._dim, self._name, self._clip = dim, collection, clip
        try:
            self._client = MilvusClient(uri, token=token)
            if self._client.has_collection(collection):
                self._check_collection()
            else:
                self._create(index_type)
            self._client.load_collection(collection)
        except MilvusException as error:
            raise AslError(f"milvus: {uri}: {error}") from error
        self.exact = index_type == "FLAT"

    def _create(self, index_type: str) -> None:
        from pymilvus import DataType

        note = f"asl references, clip={self._clip}"
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False, description=note)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=4096)
        schema.add_field("log_norm", DataType.FLOAT)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self._dim + 2)
        index = self._client.prepare_index_params()
        index.add_index("vector", index_type=index_type, metric_type="IP")
        self._client.create_collection(self._name, schema=schema, index_params=index, consistency_level="Strong")

    def _check_collection(self) -> None:
        facts = self._client.describe_collection(self._name)
        dims = [field["params"].get("dim") for field in facts["fields"] if field["name"] == "vector"]
        if [int(dim) for dim in dims] != [self._dim + 2]:
            raise AslError(f"milvus: collection {self._name!r} holds vectors of {dims}, expected {self._dim + 2}")
        if not str(facts.get("description", "")).endswith(f"clip={self._clip}"):
            raise AslError(f"milvus: collection {self._name!r} is {facts.get('description')}, asked for {self._clip}")

    def close(self) -> None:
        """Let go of the connection (of the file, for milvus-lite)."""
        self._client.close()

    def __len__(self) -> int:
        return int(self._client.query(self._name, filter="", output_fields=["count(*)"])[0]["count(*)"])

    def add(self, references: ReferenceEmbeddings) -> None:
        """Add references; one whose id is there already replaces it."""
        if references.dim != self._dim:
            raise AslError(f"milvus: the collection is for {self._dim} dimensions, got {references.dim}")
        vectors = encode_references(references, Score("soft", clip=self._clip))
        step = max(1, _BYTES // (4 * vectors.shape[1] + 512))
        for start in range(0, len(references), step):
            part = slice(start, start + step)
            columns = references.ids[part].tolist(), references.log_norms[part].tolist(), vectors[part]
            rows = [{"id": i, "log_norm": n, "vector": v} for i, n, v in zip(*columns, strict=True)]
            self._client.upsert(self._name, rows)
        self._client.flush(self._name)

    def remove(self, ids: Sequence[str]) -> None:
        """Remove references by id.

        Raises:
            AslError: one is not there (it is named); nothing is removed then.
        """
        wanted = list(ids)
        found: set[str] = set()
        for start in range(0, len(wanted), 1000):
            rows = self._client.query(self._name, filter=_one_of(wanted[start : start + 1000]), output_fields=["id"])
            found |= {row["id"] for row in rows}
        missing = [name for name in wanted if name not in found]
        if missing:
            raise AslError(f"milvus: {len(missing)} id(s) are not in the collection, e.g. {missing[0]!r}")
        for start in range(0, len(wanted), 1000):
            self._client.delete(self._name, filter=_one_of(wanted[start : start + 1000]))
        self._client.flush(self._name)

    def search(
        self,
        queries: QueryEmbeddings,
        *,
        score: Score,
        k: int = 10,
        background: BackgroundEmbeddings | None = None,
    ) -> ScoredPairs:
        """The k best references of every query: the same list as :func:`asl.index.search.search`.

        Raises:
            AslError: another dimension or clipping range than the collection's, or a list that would need more than
                a server returns to be proved complete.
        """
        if queries.dim != self._dim:
            raise AslError(f"milvus: the collection is for {self._dim} dimensions, the queries have {queries.dim}")
        if score.mode == "soft" and score.clip != self._clip:
            raise AslError(f"milvus: the collection was made with clip={self._clip}, the score has {score.clip}")
        if k < 1 or not len(self):
            raise AslError(f"milvus: nothing to search, or k below 1 (k={k}, {len(self)} references)")
        return _Search(self._client, self._name, queries, score, k, len(self), background).run()


def _one_of(ids: Sequence[str]) -> str:
    """A filter on ids; file names may hold quotes, which the client's own ``ids=`` does not escape."""
    return f"id in [{', '.join(json.dumps(name, ensure_ascii=False) for name in ids)}]"


class _Search:
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
    ) -> None:
        self._client, self._name, self._q, self._score = client, name, queries, score
        self._k, self._count = min(k, count), count
        self._maps = query_maps(queries, background, score.normalization)
        inner = "soft" if score.mode == "soft" else "cosine"
        self._vectors = encode_queries(queries, Score(inner, score.lam, clip=score.clip))  # type: ignore[arg-type]
        if inner == "cosine":
            self._vectors[:, -2:] = 0.0
        self._found: list[tuple[int, StrArray, _F64]] = []

    def run(self) -> ScoredPairs:
        order = np.argsort(self._q.log_norms, kind="stable")
        for start in range(0, len(order), _GROUP):
            self._group(order[start : start + _GROUP])
        self._found.sort(key=lambda item: item[0])
        lengths = [len(names) for _, names, _ in self._found]
        query = np.repeat([row for row, _, _ in self._found], lengths).astype(np.int64)
        names = np.concatenate([names for _, names, _ in self._found])
        vocabulary, places = np.unique(names, return_inverse=True)
        values = np.concatenate([values for _, _, values in self._found]).astype(np.float32)
        return ScoredPairs(self._q.ids, vocabulary, query, places.astype(np.int64), values)

    def _group(self, rows: I64) -> None:
        pending, m = rows, min(self._count, self._k + _SLACK)
        while len(pending):
            hits = self._request(pending, m)
            again = [row for row in pending.tolist() if not self._take(row, next(hits), m)]
            if again and m == _MOST:
                raise AslError(
                    f"milvus: a list of {_MOST} does not prove the {self._k} best of {str(self._q.ids[again[0]])!r}; "
                    "use a smaller k or an index of asl"
                )
            pending, m = np.array(again, dtype=np.int64), min(self._count, 4 * m, _MOST)

    def _request(self, rows: I64, m: int) -> Iterator[Any]:
        only = ""
        if self._score.mode == "strict":
            # A little below the smallest admissible norm: the server compares in its own precision.
            only = f"log_norm >= {float(self._q.log_norms[rows].min()) - self._score.tau - 1e-4:.6f}"
        step = max(1, _BYTES // (m * 4 * (self._q.dim + 2)))
        for start in range(0, len(rows), step):
            yield from self._client.search(
                self._name, self._vectors[rows[start : start + step]].tolist(), limit=m, filter=only,
                output_fields=["log_norm", "vector"], consistency_level="Strong",
            )  # fmt: skip

    def _take(self, row: int, hits: Any, m: int) -> bool:
        """Keep the list of a query if it is proved complete."""
        entities = [hit["entity"] for hit in hits]
        names = np.array([hit["id"] for hit in hits], dtype=np.str_)
        norms = np.array([entity["log_norm"] for entity in entities], dtype=np.float32)
        vectors = np.array([entity["vector"] for entity in entities], dtype=np.float32)
        vectors = vectors.reshape(len(hits), self._q.dim + 2)
        here, own = np.arange(len(hits)), np.full(len(hits), row)
        cosines = pair_cosines(self._q.vectors, np.ascontiguousarray(vectors[:, : self._q.dim]), own, here)
        mode = "cosine" if self._score.mode == "paper" else self._score.mode
        inner = Score(mode, self._score.lam, self._score.tau, self._score.clip)
        scores = self._maps.apply(from_cosines(cosines, self._q.log_norms[own], norms, inner), own)
        order = np.lexsort((names, -scores.astype(np.float32)))
        order = order[np.isfinite(scores[order])][: self._k]
        if len(hits) == m < self._count:
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
