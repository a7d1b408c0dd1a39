"""Milvus addresses of the commands: ``index=milvus+ADDRESS`` fills, ``references=`` searches.

ADDRESS is a file name that ends in ``.db`` (milvus-lite, inside this process) or the address of a
server, whose token is read from the environment variable ``MILVUS_TOKEN``; ``#NAME`` after either
names one of several collections there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from asl.index.index_files import Rows
from asl.index.milvus.collection import COLLECTION, MilvusIndex, NoCollectionError
from asl.index.milvus.index_type import IndexKind
from asl.model_names import other_model
from asl.scoring.score import usual_clip
from asl.types import AslError, Progress, ReferenceEmbeddings, UsageError

_PREFIX = "milvus+"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,200}")


def is_served(address: str) -> bool:
    """Report whether an address names references stored in Milvus.

    >>> is_served("milvus+library.db"), is_served("library.index")
    (True, False)
    """
    return address.startswith(_PREFIX)


def served_file(address: str) -> Path | None:
    """Return the milvus-lite file of an address; None for a server, or where nothing is served.

    >>> served_file("milvus+photos/library.db").name, served_file("milvus+http://127.0.0.1:19530")
    ('library.db', None)
    """
    if not is_served(address):  # the name of a folder may have a #
        return None
    uri = _place(address)[0]
    return Path(uri) if uri.endswith(".db") else None


def open_served(address: str) -> MilvusIndex:
    """Open the collection at an address.

    Raises:
        AslError: there is no collection, or Milvus cannot be reached.
    """
    uri, name = _place(address)
    return MilvusIndex(uri, collection=name, token=_token())


def check_kind(address: str, kind: str) -> None:
    """Refuse an index type that does not exist, or not where an address leads.

    Raises:
        UsageError: it is named.
    """
    IndexKind.of(kind).check_place(_place(address)[0])


def _place(address: str) -> tuple[str, str]:
    """Split an address into the file or server, and the name of the collection there."""
    uri, mark, name = address.removeprefix(_PREFIX).partition("#")
    if mark and not _NAME.fullmatch(name):
        raise UsageError(
            f"{address}: a collection is named by # and letters, digits and _ that begin with a "
            f"letter, got {name!r}"
        )
    return uri, name or COLLECTION


def _token() -> str:
    return os.environ.get("MILVUS_TOKEN", "")


def fill_served(
    address: str,
    references: Sequence[Rows],
    *,
    model: str,
    fast_decode: bool = False,
    clip: tuple[float, float] | None = None,
    kind: str = "FLAT",
    without: Collection[str] = (),
    stamps: Mapping[str, str | None] | None = None,
    progress: Progress | None = None,
) -> int:
    """Add references to a collection, creating it where needed; known ids are replaced.

    Args:
        address: ``milvus+`` and the collection's file or server.
        references: embeddings, in pieces that need not fit in memory together.
        model: hash of the model that made them.
        fast_decode: large JPEGs were decoded at a fraction of their size for them.
        clip: range of log-norms with which ``soft`` is served for good; None: the middle 98 % of
            these references'.
        kind: index type of a new collection, with its parameters
            (:mod:`asl.index.milvus.index_type`).
        without: ids that are removed where the collection holds them.
        stamps: id -> stamp of its image, by which a verified search sees that it has changed.
        progress: called with (references added, references to add).

    Returns:
        Number of references in the collection afterwards.

    Raises:
        AslError: the collection is of another model, dimension, index type or ``fast_decode``, or
            cannot be reached.
    """
    if not references:
        raise AslError(f"{address}: there are no references to add; give images")
    index = _open_or_create(
        address, references, model=model, fast_decode=fast_decode, clip=clip, kind=kind
    )
    try:
        _check_same(address, index, model=model, fast_decode=fast_decode, kind=kind)
        total, done = sum(len(part.ids) for part in references), 0
        for part in references:
            vectors = part.units(np.arange(len(part.ids)))
            added = ReferenceEmbeddings(part.ids, vectors, part.log_norms)
            index.add(added, stamps=stamps or {})
            done += len(part.ids)
            if progress:
                progress(done, total)
        if without:
            index.remove(sorted(set(index.ids()).intersection(without)))
        return len(index)
    finally:
        index.close()


def _open_or_create(
    address: str,
    references: Sequence[Rows],
    *,
    model: str,
    fast_decode: bool,
    clip: tuple[float, float] | None,
    kind: str,
) -> MilvusIndex:
    try:
        return open_served(address)
    except NoCollectionError:
        uri, name = _place(address)
        clip = clip or usual_clip(np.concatenate([part.log_norms for part in references]))
        return MilvusIndex(
            uri,
            dim=references[0].dim,
            collection=name,
            clip=clip,
            model=model,
            fast_decode=fast_decode,
            kind=kind,
            token=_token(),
        )


def _check_same(
    address: str, index: MilvusIndex, *, model: str, fast_decode: bool, kind: str
) -> None:
    if index.model != model:
        raise AslError(
            f"{address}: {other_model(index.model, model, otherwise='fill another collection')}"
        )
    if index.fast_decode != fast_decode:
        raise AslError(
            f"{address}: holds features made with fast_decode={index.fast_decode}, "
            f"got {fast_decode}; use the same setting, or another collection"
        )
    if kind != "FLAT" and IndexKind.of(kind) != index.kind:
        raise AslError(
            f"{address}: was made with milvus_index={index.kind}, which cannot be changed to "
            f"{kind}; leave milvus_index out, or fill another collection"
        )
