"""Milvus addresses of the commands: ``index=milvus+ADDRESS`` fills, ``references=`` searches.

ADDRESS is a file name that ends in ``.db`` (milvus-lite, inside this process) or the address of a
server; its token is read from the environment variable ``MILVUS_TOKEN``.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

import numpy as np

from asl.index.index_files import Rows
from asl.index.milvus.collection import MilvusIndex, NoCollectionError
from asl.index.milvus.index_type import IndexKind
from asl.scoring.score import usual_clip
from asl.types import AslError, Progress, ReferenceEmbeddings

_PREFIX = "milvus+"


def is_served(address: str) -> bool:
    """Report whether an address names references stored in Milvus.

    >>> is_served("milvus+library.db"), is_served("library.index")
    (True, False)
    """
    return address.startswith(_PREFIX)


def open_served(address: str) -> MilvusIndex:
    """Open the collection at an address.

    Raises:
        AslError: there is no collection, or Milvus cannot be reached.
    """
    uri, token = _uri_and_token(address)
    return MilvusIndex(uri, token=token)


def _uri_and_token(address: str) -> tuple[str, str]:
    return address.removeprefix(_PREFIX), os.environ.get("MILVUS_TOKEN", "")


def fill_served(
    address: str,
    references: Sequence[Rows],
    *,
    model: str,
    fast_decode: bool = False,
    clip: tuple[float, float] | None = None,
    kind: str = "FLAT",
    without: Collection[str] = (),
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
            index.add(ReferenceEmbeddings(part.ids, vectors, part.log_norms))
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
        uri, token = _uri_and_token(address)
        clip = clip or usual_clip(np.concatenate([part.log_norms for part in references]))
        return MilvusIndex(
            uri,
            dim=references[0].dim,
            clip=clip,
            model=model,
            fast_decode=fast_decode,
            kind=kind,
            token=token,
        )


def _check_same(
    address: str, index: MilvusIndex, *, model: str, fast_decode: bool, kind: str
) -> None:
    if index.model != model:
        raise AslError(
            f"{address}: holds features of another model ({index.model}), got {model}; "
            "use that model, or another collection"
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
