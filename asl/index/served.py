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


def fill_served(address: str, references: ReferenceEmbeddings, *, model: str) -> int:
    """Add references to a collection, which is made where there is none; ids that are there already are replaced.

    ``soft`` is served with log-norms clipped to the middle 98 % of the references that it was made with.

    Returns:
        How many references it holds then.

    Raises:
        AslError: it is of another model or dimension, or cannot be reached.
    """
    try:
        index = open_served(address)
        if index.model != model:
            raise AslError(f"{address}: holds features of another model ({index.model}, now {model})")
    except NoCollectionError:
        uri, token = _where(address)
        clip = usual_clip(references.log_norms)
        index = MilvusIndex(uri, dim=references.dim, clip=clip, model=model, token=token)
    try:
        index.add(references)
        return len(index)
    finally:
        index.close()
