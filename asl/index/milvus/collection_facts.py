"""Fields, index and facts of a Milvus collection, which are fixed when it is created."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from asl.index.milvus.index_type import IndexKind
from asl.types import AslError

_STORED = {"clip", "model", "fast_decode", "index_type"}
STAMP_LENGTH = 64  # bytes of the stamp of an image, at most


@dataclass(frozen=True)
class CollectionFacts:
    """Facts of a collection.

    Attributes:
        dim: D, dimensions of an embedding.
        clip: range of log-norms for ``soft``; None: not clipped.
        model: hash of the model that made the features; empty where unknown.
        fast_decode: large JPEGs were decoded at a fraction of their size for them.
        kind: index type with its parameters.
        stamped: the collection keeps the stamps of images; those of earlier versions do not.
    """

    dim: int
    clip: tuple[float, float] | None
    model: str
    fast_decode: bool
    kind: IndexKind
    stamped: bool = True


def create_collection(client: Any, name: str, facts: CollectionFacts) -> None:
    """Create a collection, and its facts in a collection beside it: milvus-lite forgets others.

    The facts are created first, so that every collection has them.

    Raises:
        AslError: the server refuses it, such as an index type that it lacks; nothing is left then.
    """
    about = _facts_of(name)
    if client.has_collection(about):
        client.drop_collection(about)
    stored = {
        "clip": facts.clip,
        "model": facts.model,
        "fast_decode": facts.fast_decode,
        "index_type": str(facts.kind),
    }
    _add_collection(client, about, 2, IndexKind.of("FLAT"), references=False)
    client.upsert(about, [{"id": json.dumps(stored), "vector": [0.0, 0.0]}])
    try:
        _add_collection(client, name, facts.dim + 2, facts.kind, references=True)
    except AslError:
        for half_made in (name, about):
            client.drop_collection(half_made)
        raise


def _facts_of(name: str) -> str:
    return f"{name}_about"


def _add_collection(client: Any, name: str, dim: int, kind: IndexKind, *, references: bool) -> None:
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=4096)
    if references:
        schema.add_field("log_norm", DataType.FLOAT)
        schema.add_field("stamp", DataType.VARCHAR, max_length=STAMP_LENGTH)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    index = client.prepare_index_params()
    # Nested twice, as milvus-lite reads the parameters only where a server also looks.
    params = {"params": {"params": kind.parameters}} if kind.parameters else {}
    index.add_index("vector", index_type=kind.name, metric_type="IP", **params)
    client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")


def read_facts(client: Any, name: str) -> CollectionFacts:
    """Read the facts of an existing collection.

    Raises:
        AslError: it was made by another program or version.
    """
    fields = {field["name"]: field for field in client.describe_collection(name)["fields"]}
    about, rows = _facts_of(name), []
    if client.has_collection(about):
        client.load_collection(about)
        rows = client.query(about, filter="", limit=1, output_fields=["id"])
    stored: dict[str, Any] = json.loads(rows[0]["id"]) if rows else {}
    if not stored.keys() >= _STORED:
        raise AslError(
            f"milvus: collection {name!r} was not made by this version of asl; "
            "drop it and make it again"
        )
    return CollectionFacts(
        dim=int(fields["vector"]["params"]["dim"]) - 2,
        clip=tuple(stored["clip"]) if stored["clip"] else None,
        model=stored["model"],
        fast_decode=stored["fast_decode"],
        kind=IndexKind.of(stored["index_type"]),
        stamped="stamp" in fields,
    )
