"""References in Milvus, from the commands: ``index=milvus+ADDRESS`` fills a collection, ``references=`` searches it.

ADDRESS is a file name that ends in ``.db`` (milvus-lite, inside this process) or the address of a server; its token is
read from the environment variable ``MILVUS_TOKEN``.
"""

from __future__ import annotations

import os

from asl.index.milvus import MilvusIndex, NoCollectionError
from asl.scoring.score import usual_clip
from asl.types import AslError, ReferenceEmbeddings

_MARK = "milvus+"


def is_served(address: str) -> bool:
    """Whether references lie in Milvus."""
    return address.startswith(_MARK)


def open_served(address: str) -> MilvusIndex:
    """The collection at an address.

    Raises:
        AslError: there is none, or it cannot be reached.
    """
    uri, token = _where(address)
    return MilvusIndex(uri, token=token)


def _where(address: str) -> tuple[str, str]:
    return address.removeprefix(_MARK), os.environ.get("MILVUS_TOKEN", "")


def fill_served(
    address: str,
    references: ReferenceEmbeddings,
    *,
    model: str,
    fast_decode: bool = False,
    clip: tuple[float, float] | None = None,
) -> int:
    """Add references to a collection, which is made where there is none; ids that are there already are replaced.

    Args:
        address: ``milvus+`` and where the collection is.
        references: their embeddings.
        model: hash of the model that made them.
        fast_decode: whether large JPEGs were decoded at a fraction of their size for them.
        clip: range of log-norms with which ``soft`` is served for good; None: the middle 98 % of these references'.

    Returns:
        How many references it holds then.

    Raises:
        AslError: it is of another model, dimension or ``fast_decode``, or cannot be reached.
    """
    try:
        index = open_served(address)
        if index.model != model:
            raise AslError(f"{address}: holds features of another model ({index.model}, now {model})")
        if index.fast_decode != fast_decode:
            raise AslError(f"{address}: holds features made with fast_decode={index.fast_decode}, now {fast_decode}")
    except NoCollectionError:
        uri, token = _where(address)
        clip = clip or usual_clip(references.log_norms)
        index = MilvusIndex(uri, dim=references.dim, clip=clip, model=model, fast_decode=fast_decode, token=token)
    try:
        index.add(references)
        return len(index)
    finally:
        index.close()
