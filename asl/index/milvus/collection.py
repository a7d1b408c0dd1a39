"""References in a Milvus collection, on a server or in a milvus-lite file, by the same code.

A collection keeps for each image its id (the primary key), its log-norm and the vector
[u, clip(n), 1] of D + 2 dimensions (see :func:`asl.scoring.score.encode_queries`), so that ``soft``
is served as an inner product and the other modes by a query vector with two zeros. ``strict``
pushes a filter on the log-norm down, one for a group of queries of similar norm, and drops the rest
here. All lists are scored again in float64 and proved complete, or fetched again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asl.counts import counted
from asl.index.milvus.collection_facts import CollectionFacts, create_collection, read_facts
from asl.index.milvus.collection_search import LONGEST_LIST, MilvusSearch
from asl.index.milvus.connection import connected
from asl.index.milvus.index_type import IndexKind
from asl.model_names import model_text, other_model
from asl.scoring.score import Score, encode_references
from asl.shared_defaults import NEIGHBOURS, NPROBE
from asl.types import (
    AslError,
    BackgroundEmbeddings,
    Progress,
    QueryEmbeddings,
    ReferenceEmbeddings,
    ScoredPairs,
    StrArray,
)

COLLECTION = "references"  # name of a collection that has no other
_REQUEST_BYTES = 16 * 2**20  # a server refuses 64 MiB
_ROW_BYTES = 512  # of a row besides its vector
_BLOCK_NUMBERS = 2**25  # numbers that are read at once
_IDS_PER_REQUEST = 1000
_NO_STAMPS: Mapping[str, str | None] = {}
_LARGEST_LOG_NORM = 128.0  # log-norms of float32 features are smaller


class NoCollectionError(AslError):
    """There is no such collection."""


class MilvusIndex:
    """References in a Milvus collection: add, remove, search exactly."""

    def __init__(
        self,
        uri: str,
        *,
        dim: int | None = None,
        collection: str = COLLECTION,
        clip: tuple[float, float] | None = None,
        model: str = "",
        fast_decode: bool = False,
        token: str = "",
        kind: str = "FLAT",
    ) -> None:
        """Open a collection, or create it.

        Args:
            uri: a file name that ends in ``.db`` (milvus-lite) or the address of a server.
            dim: D of the embeddings; None opens an existing collection with everything that was
                fixed when it was created.
            collection: its name.
            clip: range of log-norms for ``soft``; fixed at creation.
            model: hash of the model that made the features; fixed at creation.
            fast_decode: large JPEGs were decoded at a fraction of their size for them; fixed at
                creation.
            token: of the server.
            kind: index type and its parameters (:class:`asl.index.milvus.index_type.IndexKind`);
                ``FLAT`` keeps every answer exact, others (``HNSW,M=32`` ...) only what they find;
                fixed at creation.

        Raises:
            NoCollectionError: there is no collection, and no ``dim`` to create it.
            AslError: pymilvus is missing, the server cannot be reached, or the collection is of
                another dimension, clipping range or model.
        """
        self._name = collection
        self._changed = False
        index_type = IndexKind.of(kind)
        index_type.check_place(uri)
        # milvus-lite would create the file.
        if dim is None and uri.endswith(".db") and not Path(uri).exists():
            raise NoCollectionError(
                f"milvus: there is no {uri}; make it with asl.extract index=milvus+{uri}"
            )
        self._client: Any = connected(uri, token)
        if self._client.has_collection(collection):
            self._facts = read_facts(self._client, collection)
            self._check_facts(dim, clip, model)
        elif dim is None:
            self._client.close()
            raise NoCollectionError(
                f"milvus: {uri} holds no collection {collection!r}; make it with asl.extract"
            )
        else:
            self._facts = CollectionFacts(dim, clip, model, fast_decode, index_type)
            create_collection(self._client, collection, self._facts)
        self._client.load_collection(collection)

    def _check_facts(self, dim: int | None, clip: tuple[float, float] | None, model: str) -> None:
        """Refuse a collection of another dimension, clipping range or model than asked for."""
        facts = self._facts
        if dim is not None and (dim, clip) != (facts.dim, facts.clip):
            raise AslError(
                f"milvus: collection {self._name!r} holds vectors of {facts.dim} dimensions, "
                f"clip {facts.clip}; asked for {dim}, clip {clip}"
            )
        if model and facts.model != model:
            raise AslError(
                f"milvus: collection {self._name!r} "
                f"{other_model(facts.model, model, otherwise='fill another collection')}"
            )

    @property
    def clip(self) -> tuple[float, float] | None:
        """Range of log-norms for ``soft``; None: not clipped."""
        return self._facts.clip

    @property
    def model(self) -> str:
        """Hash of the model that made the features; empty where unknown."""
        return self._facts.model

    @property
    def fast_decode(self) -> bool:
        """True where large JPEGs were decoded at a fraction of their size."""
        return self._facts.fast_decode

    @property
    def kind(self) -> IndexKind:
        """Index type with its parameters."""
        return self._facts.kind

    def close(self) -> None:
        """Close the connection (the file, for milvus-lite)."""
        self._seal()
        self._client.close()

    def _seal(self) -> None:
        """Let the server index what was written: once after many changes, as it takes seconds.

        What is not sealed is searched and survives a restart all the same.
        """
        if self._changed:
            self._client.flush(self._name)
            self._changed = False

    def __len__(self) -> int:
        rows = self._client.query(self._name, filter="", output_fields=["count(*)"])
        return int(rows[0]["count(*)"])

    def add(
        self, references: ReferenceEmbeddings, *, stamps: Mapping[str, str | None] = _NO_STAMPS
    ) -> None:
        """Add references; known ids are replaced.

        Args:
            references: to add.
            stamps: id -> stamp of its image (:mod:`asl.features.fingerprints`), where it is known.

        Raises:
            AslError: the dimensions differ.
        """
        if references.dim != self._facts.dim:
            raise AslError(
                f"milvus: the collection is for {self._facts.dim} dimensions, "
                f"got {references.dim}; use the model that it was filled with"
            )
        vectors = encode_references(references, Score("soft", clip=self.clip))
        step = max(1, _REQUEST_BYTES // (4 * vectors.shape[1] + _ROW_BYTES))
        for start in range(0, len(references), step):
            block = slice(start, start + step)
            ids, norms = references.ids[block].tolist(), references.log_norms[block].tolist()
            rows = [
                {"id": name, "log_norm": norm, "vector": vector}
                | ({"stamp": stamps.get(name) or ""} if self._facts.stamped else {})
                for name, norm, vector in zip(ids, norms, vectors[block], strict=True)
            ]
            self._client.upsert(self._name, rows)
        self._changed = True

    def remove(self, ids: Sequence[str]) -> None:
        """Remove references by id.

        Raises:
            AslError: an id is not in the collection; nothing is removed then.
        """
        removed = list(ids)
        known = {row["id"] for row in self._rows(removed, ["id"])}
        _refuse_missing([name for name in removed if name not in known])
        for start in range(0, len(removed), _IDS_PER_REQUEST):
            only = _id_filter(removed[start : start + _IDS_PER_REQUEST])
            self._client.delete(self._name, filter=only)
        self._changed = True

    def references(self, ids: Sequence[str] | StrArray | None = None) -> ReferenceEmbeddings:
        """Read references as they were added: some in the given order, or all by id.

        Raises:
            AslError: an id is not in the collection.
        """
        names = self.ids() if ids is None else [str(name) for name in ids]
        rows = {
            row["id"]: (row["log_norm"], row["vector"][: self._facts.dim])
            for row in self._rows(names, ["id", "log_norm", "vector"])
        }
        _refuse_missing([name for name in names if name not in rows])
        norms = np.array([rows[name][0] for name in names], dtype=np.float32)
        vectors = np.array([rows[name][1] for name in names], dtype=np.float32)
        vectors = vectors.reshape(-1, self._facts.dim)
        return ReferenceEmbeddings(np.array(names, dtype=np.str_), vectors, norms)

    def stamps(self, ids: Sequence[str] | StrArray) -> dict[str, str]:
        """Return id -> stamp of its image, for the references that were added with one."""
        if not self._facts.stamped:
            return {}
        rows = self._rows([str(name) for name in ids], ["id", "stamp"])
        return {row["id"]: row["stamp"] for row in rows if row["stamp"]}

    def _rows(self, ids: Sequence[str], fields: list[str]) -> Iterator[dict[str, Any]]:
        """Query fields of references by id; ids that are not in the collection are left out."""
        for start in range(0, len(ids), _IDS_PER_REQUEST):
            only = _id_filter(ids[start : start + _IDS_PER_REQUEST])
            yield from self._client.query(self._name, filter=only, output_fields=fields)

    def ids(self) -> list[str]:
        """Return the ids of all references, sorted."""
        return sorted(self._ids(-_LARGEST_LOG_NORM, _LARGEST_LOG_NORM))

    def _ids(self, low: float, high: float) -> list[str]:
        """Return the ids of low <= log-norm < high, halving the range until an answer holds all.

        The client's own iterators fail on ids with quotes.
        """
        only = f"log_norm >= {low:.9f} and log_norm < {high:.9f}"
        rows = self._client.query(self._name, filter=only, output_fields=["id"], limit=LONGEST_LIST)
        if len(rows) < LONGEST_LIST:
            return [row["id"] for row in rows]
        if high - low < 1e-6:
            raise AslError(
                f"milvus: more than {LONGEST_LIST} references have the log-norm {low:.6f} and "
                "cannot be listed; remove duplicate images"
            )
        middle = (low + high) / 2
        return self._ids(low, middle) + self._ids(middle, high)

    def blocks(self, progress: Progress | None = None) -> Iterator[ReferenceEmbeddings]:
        """Read all references by id, some thousand at a time.

        Args:
            progress: called with (references read, references to read).
        """
        names = self.ids()
        step = max(1000, _BLOCK_NUMBERS // self._facts.dim)
        for start in range(0, len(names), step):
            yield self.references(names[start : start + step])
            if progress:
                progress(min(start + step, len(names)), len(names))

    def merge(self, other: MilvusIndex) -> None:
        """Add all references of another collection; known ids are replaced.

        Raises:
            AslError: the models or dimensions differ.
        """
        if self.model != other.model:
            raise AslError(
                "milvus: the collections are of different models "
                f"({model_text(self.model)}, {model_text(other.model)}); fill both with one model"
            )
        for block in other.blocks():
            self.add(block, stamps=other.stamps(block.ids))

    def search(
        self,
        queries: QueryEmbeddings,
        *,
        score: Score,
        k: int = NEIGHBOURS,
        background: BackgroundEmbeddings | None = None,
        nprobe: int = NPROBE,
        progress: Progress | None = None,
    ) -> ScoredPairs:
        """Search the k best references of every query.

        With a ``FLAT`` index the list is that of :func:`asl.index.exact.exact_search.search`.

        Args:
            queries: Q queries.
            score: score of a pair query -> reference; ``soft`` with the collection's own clipping
                range.
            k: references per query.
            background: needed where the score is normalised.
            nprobe: breadth of an approximate search
                (:meth:`asl.index.milvus.index_type.IndexKind.searching`).
            progress: called with (queries done, queries in all).

        Raises:
            AslError: the dimension or clipping range differs from the collection's, or a list would
                need more than a server returns to be proved complete.
        """
        if queries.dim != self._facts.dim:
            raise AslError(
                f"milvus: the collection is for {self._facts.dim} dimensions, got queries of "
                f"{queries.dim}; embed them with the collection's model"
            )
        if score.mode == "soft" and score.clip != self.clip:
            raise AslError(
                f"milvus: the collection was made with clip={self.clip}, got {score.clip}; "
                "use the collection's range"
            )
        count = len(self)
        if k < 1 or not count:
            raise AslError(
                "milvus: nothing to search: needs k of 1 or more and at least one reference, "
                f"got k={k} and {counted(count, 'reference')}"
            )
        self._seal()
        run = MilvusSearch(
            self._client, self._name, queries, score, k, count, background, self.kind, nprobe
        )
        return run.run(progress)


def _refuse_missing(ids: Sequence[str]) -> None:
    if ids:
        raise AslError(
            f"milvus: {counted(len(ids), 'id is', 'ids are')} not in the collection, e.g. "
            f"{ids[0]!r}; leave them out"
        )


def _id_filter(ids: Sequence[str]) -> str:
    """Return a filter on ids; the client's own ``ids=`` does not escape quotes in file names."""
    return f"id in [{', '.join(json.dumps(name, ensure_ascii=False) for name in ids)}]"
