"""Milvus: references on a server (or in an embedded milvus-lite file) by the same code; only the address differs.

A collection keeps for each image its id (the primary key), its log-norm and the vector
[u, clip(n), 1] of D + 2 dimensions (see :func:`asl.scoring.score.encode_queries`), so that ``soft``
is served as an inner product and the other modes by a query vector with two zeros. ``strict``
pushes a filter on the log-norm down, one for a group of queries of similar norm, and drops the rest
here. All lists are scored again in float64 and proved complete, or fetched again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asl.index.milvus.collection_search import MOST, MilvusSearch, Progress
from asl.index.milvus.index_type import IndexKind
from asl.scoring.score import Score, encode_references
from asl.types import (
    AslError,
    BackgroundEmbeddings,
    QueryEmbeddings,
    ReferenceEmbeddings,
    ScoredPairs,
    StrArray,
)

_BYTES = 16 * 2**20  # per request; a server refuses 64 MiB
_BLOCK = 2**25  # numbers that are read at once
# What milvus-lite tells of itself; calls that it does not know end in a traceback there, and are
# done without here.
_CHATTER = {
    "milvus_lite": logging.ERROR,
    "faiss.loader": logging.WARNING,
    "grpc._server": logging.CRITICAL,
}
_LARGEST = 128.0  # log-norms of float32 features are smaller


class NoCollectionError(AslError):
    """There is no such collection."""


class MilvusIndex:
    """References in a Milvus collection: add, remove, search exactly."""

    def __init__(
        self,
        uri: str,
        *,
        dim: int | None = None,
        collection: str = "references",
        clip: tuple[float, float] | None = None,
        model: str = "",
        fast_decode: bool = False,
        token: str = "",
        kind: str = "FLAT",
    ) -> None:
        """Open a collection, or make it.

        Args:
            uri: a file name that ends in ``.db`` (milvus-lite) or the address of a server.
            dim: D of the embeddings; None opens a collection that is there, with all that is fixed
                when it is made.
            collection: its name.
            clip: range of log-norms for ``soft``; fixed when the collection is made.
            model: hash of the model that made the features; fixed, too.
            fast_decode: whether large JPEGs were decoded at a fraction of their size for them;
                fixed, too.
            token: of the server.
            kind: index type and its parameters (:class:`asl.index.milvus.index_type.IndexKind`);
                ``FLAT`` keeps every answer exact, others (``HNSW,M=32`` ...) only what they find;
                fixed, too.

        Raises:
            NoCollectionError: there is none, and no ``dim`` to make it.
            AslError: pymilvus is missing, the server cannot be reached, or the collection is of
                another dimension, clipping range or model.
        """
        try:
            from pymilvus import MilvusClient, MilvusException
        except ImportError as error:
            raise AslError(
                "milvus: pymilvus is not installed: `pip install 'asl-icd[milvus]'`"
            ) from error
        for name, level in _CHATTER.items():
            logging.getLogger(name).setLevel(level)
        self._name, self.clip, self.model = collection, clip, model
        self.fast_decode, self.kind = fast_decode, IndexKind.of(kind)
        self.kind.check_place(uri)
        if (
            dim is None and uri.endswith(".db") and not Path(uri).exists()
        ):  # milvus-lite would make the file
            raise NoCollectionError(
                f"milvus: there is no {uri}; make it with asl.extract index=milvus+{uri}"
            )
        try:
            self._client: Any = _Told(MilvusClient(uri, token=token), uri, MilvusException)
        except MilvusException as error:
            raise AslError(f"milvus: {uri}: {error}") from error
        if self._client.has_collection(collection):
            self._dim = self._checked(dim)
        elif dim is None:
            self._client.close()
            raise NoCollectionError(
                f"milvus: {uri} holds no collection {collection!r}; make it with asl.extract"
            )
        else:
            self._dim = dim
            self._create()
        self._client.load_collection(collection)

    def _create(self) -> None:
        # What the collection is lies in one beside it: milvus-lite forgets descriptions. It comes
        # first, so that a collection that is there is also known.
        if self._client.has_collection(f"{self._name}_about"):
            self._client.drop_collection(f"{self._name}_about")
        facts = {
            "clip": self.clip,
            "model": self.model,
            "fast_decode": self.fast_decode,
            "index_type": str(self.kind),
        }
        about = json.dumps(facts)
        self._add_collection(f"{self._name}_about", 2, IndexKind.of("FLAT"), norms=False)
        self._client.upsert(f"{self._name}_about", [{"id": about, "vector": [0.0, 0.0]}])
        self._client.flush(f"{self._name}_about")
        self._add_collection(self._name, self._dim + 2, self.kind, norms=True)

    def _add_collection(self, name: str, dim: int, kind: IndexKind, *, norms: bool) -> None:
        from pymilvus import DataType

        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=4096)
        if norms:
            schema.add_field("log_norm", DataType.FLOAT)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
        index = self._client.prepare_index_params()
        # Twice, as milvus-lite reads the parameters only where a server also looks for them.
        params = {"params": {"params": kind.parameters}} if kind.parameters else {}
        index.add_index("vector", index_type=kind.name, metric_type="IP", **params)
        self._client.create_collection(
            name, schema=schema, index_params=index, consistency_level="Strong"
        )

    def _checked(self, dim: int | None) -> int:
        """The dimension of the collection that is there; its clipping range and model are those asked for, if any."""
        facts = self._client.describe_collection(self._name)
        note = self._note()
        there = (
            next(
                int(field["params"]["dim"])
                for field in facts["fields"]
                if field["name"] == "vector"
            )
            - 2
        )
        clip = tuple(note["clip"]) if note["clip"] else None
        if dim is not None and (dim, self.clip) != (there, clip):
            raise AslError(
                f"milvus: collection {self._name!r} holds vectors of {there} dimensions, clip {clip}; "
                f"asked for {dim}, clip {self.clip}"
            )
        if self.model and note["model"] != self.model:
            raise AslError(
                f"milvus: collection {self._name!r} is of another model ({note['model']})"
            )
        self.clip, self.model = clip, note["model"]
        self.fast_decode, self.kind = note["fast_decode"], IndexKind.of(note["index_type"])
        return there

    def _note(self) -> dict[str, Any]:
        """The facts that were written when the collection was made."""
        name, found = f"{self._name}_about", []
        if self._client.has_collection(name):
            self._client.load_collection(name)
            found = self._client.query(name, filter="", limit=1, output_fields=["id"])
        note: dict[str, Any] = json.loads(found[0]["id"]) if found else {}
        if not note.keys() >= {"clip", "model", "fast_decode", "index_type"}:
            raise AslError(
                f"milvus: {self._name!r} was not made by this version of asl; drop it and make it again"
            )
        return note

    def close(self) -> None:
        """Let go of the connection (of the file, for milvus-lite)."""
        self._client.close()

    def __len__(self) -> int:
        return int(
            self._client.query(self._name, filter="", output_fields=["count(*)"])[0]["count(*)"]
        )

    def add(self, references: ReferenceEmbeddings) -> None:
        """Add references; one whose id is there already replaces it."""
        if references.dim != self._dim:
            raise AslError(
                f"milvus: the collection is for {self._dim} dimensions, got {references.dim}"
            )
        vectors = encode_references(references, Score("soft", clip=self.clip))
        step = max(1, _BYTES // (4 * vectors.shape[1] + 512))
        for start in range(0, len(references), step):
            part = slice(start, start + step)
            columns = (
                references.ids[part].tolist(),
                references.log_norms[part].tolist(),
                vectors[part],
            )
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
            rows = self._client.query(
                self._name, filter=_one_of(wanted[start : start + 1000]), output_fields=["id"]
            )
            found |= {row["id"] for row in rows}
        missing = [name for name in wanted if name not in found]
        if missing:
            raise AslError(
                f"milvus: {len(missing)} id(s) are not in the collection, e.g. {missing[0]!r}"
            )
        for start in range(0, len(wanted), 1000):
            self._client.delete(self._name, filter=_one_of(wanted[start : start + 1000]))
        self._client.flush(self._name)

    def references(self, ids: Sequence[str] | StrArray | None = None) -> ReferenceEmbeddings:
        """References as they were added: those asked for, in that order, or all, by id.

        Raises:
            AslError: an id that is not in the collection.
        """
        wanted = self.ids() if ids is None else [str(name) for name in ids]
        fields, rows = ["id", "log_norm", "vector"], {}
        for start in range(0, len(wanted), 1000):
            only = _one_of(wanted[start : start + 1000])
            for row in self._client.query(self._name, filter=only, output_fields=fields):
                rows[row["id"]] = row["log_norm"], row["vector"][: self._dim]
        missing = [name for name in wanted if name not in rows]
        if missing:
            raise AslError(
                f"milvus: {len(missing)} id(s) are not in the collection, e.g. {missing[0]!r}"
            )
        norms = np.array([rows[name][0] for name in wanted], dtype=np.float32)
        vectors = np.array([rows[name][1] for name in wanted], dtype=np.float32).reshape(
            -1, self._dim
        )
        return ReferenceEmbeddings(np.array(wanted, dtype=np.str_), vectors, norms)

    def ids(self) -> list[str]:
        """The ids of all references, sorted."""
        return sorted(self._ids(-_LARGEST, _LARGEST))

    def _ids(self, low: float, high: float) -> list[str]:
        """Ids of low <= log-norm < high, in halves where one answer has no room for all (iterators break on quotes)."""
        only = f"log_norm >= {low:.9f} and log_norm < {high:.9f}"
        rows = self._client.query(self._name, filter=only, output_fields=["id"], limit=MOST)
        if len(rows) < MOST:
            return [row["id"] for row in rows]
        if high - low < 1e-6:
            raise AslError(
                f"milvus: more than {MOST} references have the log-norm {low:.6f}; they cannot be listed"
            )
        return self._ids(low, (low + high) / 2) + self._ids((low + high) / 2, high)

    def blocks(self, progress: Progress | None = None) -> Iterator[ReferenceEmbeddings]:
        """All references, some thousand at a time, by id.

        Args:
            progress: called with (references read, references to read).
        """
        names = self.ids()
        step = max(1000, _BLOCK // self._dim)
        for start in range(0, len(names), step):
            yield self.references(names[start : start + step])
            if progress:
                progress(min(start + step, len(names)), len(names))

    def merge(self, other: MilvusIndex) -> None:
        """Add all references of another collection; those whose ids are here already replace them.

        Raises:
            AslError: the other one is of another dimension or model.
        """
        if self.model != other.model:
            raise AslError(
                f"milvus: the collections are of different models ({self.model}, {other.model})"
            )
        for block in other.blocks():
            self.add(block)

    def search(
        self,
        queries: QueryEmbeddings,
        *,
        score: Score,
        k: int = 10,
        background: BackgroundEmbeddings | None = None,
        nprobe: int = 16,
        progress: Progress | None = None,
    ) -> ScoredPairs:
        """The k best references of every query: with a ``FLAT`` index the list of :func:`asl.index.exact.exact_search.search`.

        Args:
            queries: Q of them.
            score: which score; ``soft`` with the collection's own clipping range.
            k: references per query.
            background: needed where the score is normalised.
            nprobe: how far an approximate index looks
                (:meth:`asl.index.milvus.index_type.IndexKind.searching`).
            progress: called with (queries done, queries to do).

        Raises:
            AslError: another dimension or clipping range than the collection's, or a list that
                would need more than a server returns to be proved complete.
        """
        if queries.dim != self._dim:
            raise AslError(
                f"milvus: the collection is for {self._dim} dimensions, the queries have {queries.dim}"
            )
        if score.mode == "soft" and score.clip != self.clip:
            raise AslError(
                f"milvus: the collection was made with clip={self.clip}, the score has {score.clip}"
            )
        if k < 1 or not len(self):
            raise AslError(
                f"milvus: nothing to search, or k below 1 (k={k}, {len(self)} references)"
            )
        options = (len(self), background, self.kind, nprobe)
        return MilvusSearch(self._client, self._name, queries, score, k, *options).run(progress)


class _Told:
    """A client whose errors are said in one line, with the address."""

    def __init__(self, client: Any, uri: str, error: type[Exception]) -> None:
        self._client, self._uri, self._error = client, uri, error

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def told(*args: Any, **keys: Any) -> Any:
            try:
                return call(*args, **keys)
            except self._error as error:
                raise AslError(f"milvus: {self._uri}: {error}") from error

        return told


def _one_of(ids: Sequence[str]) -> str:
    """A filter on ids; file names may hold quotes, which the client's own ``ids=`` does not escape."""
    return f"id in [{', '.join(json.dumps(name, ensure_ascii=False) for name in ids)}]"
