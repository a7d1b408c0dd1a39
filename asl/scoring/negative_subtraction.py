"""Negative embedding subtraction: take away from a feature what it shares with unrelated images.

As in the winning descriptor of ISC 2021 (Yokoo, "Contrastive Learning with Large Memory Bank and
Negative Embedding Subtraction for Accurate Copy Detection", arXiv 2112.04323, section 2.4), on both
sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np

from asl.types import F32, I64, AslError, BackgroundEmbeddings, Embeddings

Some = TypeVar("Some", bound=Embeddings)
_BLOCK = 1024


def subtract_negatives(
    embeddings: Some,
    background: BackgroundEmbeddings,
    *,
    weight: float = 0.35,
    neighbours: int = 10,
) -> Some:
    """U -> (u - weight * mean of its nearest background vectors), made unit length again; log-norms stay.

    Args:
        embeddings: N of them, queries or references.
        background: at least ``neighbours`` unrelated images (training images, never references).
        weight: 0.35 in the paper.
        neighbours: 10 in the paper.

    Raises:
        AslError: too small a background, another dimension, or a vector of which nothing is left.
    """
    rest = np.empty(embeddings.vectors.shape, dtype=np.float32)
    for part, nearest in _nearest(embeddings.vectors, background, neighbours):
        rest[part] = embeddings.vectors[part] - weight * background.vectors[nearest].mean(axis=1)
    return _unit(embeddings, rest)


def average_neighbours(
    background: BackgroundEmbeddings, *, neighbours: int = 10, power: float = 3.0
) -> BackgroundEmbeddings:
    """Each background vector as the mean of its neighbours, itself among them, weighted by cosine^power.

    Database-side augmentation (Arandjelovic & Zisserman, CVPR 2012, section 4), which the same
    entry applies to its negatives.
    """
    rest = np.empty(background.vectors.shape, dtype=np.float32)
    for part, nearest in _nearest(background.vectors, background, neighbours):
        found = background.vectors[nearest]
        cosines = np.einsum("qd,qnd->qn", background.vectors[part], found)
        rest[part] = np.einsum("qn,qnd->qd", np.maximum(cosines, 0.0) ** power, found)
    return _unit(background, rest)


def _nearest(
    vectors: F32, background: BackgroundEmbeddings, count: int
) -> Iterator[tuple[slice, I64]]:
    """(which vectors, int64 ``[Q', count]`` rows of their nearest background vectors), block by block."""
    if not 1 <= count <= len(background):
        raise AslError(
            f"negatives: {count} neighbours need as many background images, got {len(background)}"
        )
    if vectors.shape[1] != background.dim:
        raise AslError(
            f"negatives: features have {vectors.shape[1]} dimensions, the background has {background.dim}"
        )
    for start in range(0, len(vectors), _BLOCK):
        part = slice(start, min(start + _BLOCK, len(vectors)))
        cosines = vectors[part] @ background.vectors.T
        yield part, np.argpartition(-cosines, count - 1, axis=1)[:, :count].astype(np.int64)


def _unit(embeddings: Some, vectors: F32) -> Some:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if np.any(lengths == 0):
        row = int(np.flatnonzero(lengths[:, 0] == 0)[0])
        raise AslError(
            f"negatives: nothing is left of {str(embeddings.ids[row])!r}; use a smaller weight"
        )
    return type(embeddings)(embeddings.ids, vectors / lengths, embeddings.log_norms)
