"""Negative embedding subtraction: remove from a feature its mean direction of unrelated images.

As in the winning descriptor of ISC 2021 (Yokoo, "Contrastive Learning with Large Memory Bank and
Negative Embedding Subtraction for Accurate Copy Detection", arXiv 2112.04323, section 2.4), for
queries and references alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np

from asl.types import F32, I64, AslError, BackgroundEmbeddings, Embeddings

Role = TypeVar("Role", bound=Embeddings)
_QUERY_BLOCK = 1024


def subtract_negatives(
    embeddings: Role,
    background: BackgroundEmbeddings,
    *,
    weight: float = 0.35,
    neighbours: int = 10,
) -> Role:
    """Replace u by the unit vector of u - weight * mean of its nearest background vectors.

    Log-norms stay.

    Args:
        embeddings: N queries or references.
        background: at least ``neighbours`` unrelated images (training images, never references).
        weight: weight of the subtraction; 0.35 in the paper.
        neighbours: background vectors that are averaged; 10 in the paper.

    Raises:
        AslError: the background is too small or of another dimension, or nothing is left of a
            vector.

    >>> queries = Embeddings.from_features(["q"], [[0.6, 0.8]])
    >>> background = BackgroundEmbeddings.from_features(["b"], [[1.0, 0.0]])
    >>> changed = subtract_negatives(queries, background, weight=0.6, neighbours=1)
    >>> changed.vectors.round(3).tolist()
    [[0.0, 1.0]]
    """
    changed = np.empty(embeddings.vectors.shape, dtype=np.float32)
    for block, nearest in _nearest(embeddings.vectors, background, neighbours):
        negatives = background.vectors[nearest].mean(axis=1)
        changed[block] = embeddings.vectors[block] - weight * negatives
    return _with_unit_vectors(embeddings, changed)


def average_neighbours(
    background: BackgroundEmbeddings, *, neighbours: int = 10, power: float = 3.0
) -> BackgroundEmbeddings:
    """Replace each background vector by the mean of its neighbours, weighted by cosine^power.

    Database-side augmentation (Arandjelovic & Zisserman, CVPR 2012, section 4), which the same
    entry applies to its negatives. A vector is among its own neighbours.

    Args:
        background: at least ``neighbours`` images.
        neighbours: vectors that are averaged.
        power: exponent of the cosine in the weights.

    Raises:
        AslError: the background is too small.

    >>> background = BackgroundEmbeddings.from_features(["a", "b"], [[1.0, 0.0], [0.0, 1.0]])
    >>> average_neighbours(background, neighbours=2).vectors.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    averaged = np.empty(background.vectors.shape, dtype=np.float32)
    for block, nearest in _nearest(background.vectors, background, neighbours):
        near = background.vectors[nearest]
        cosines = np.einsum("qd,qnd->qn", background.vectors[block], near)
        averaged[block] = np.einsum("qn,qnd->qd", np.maximum(cosines, 0.0) ** power, near)
    return _with_unit_vectors(background, averaged)


def _nearest(
    vectors: F32, background: BackgroundEmbeddings, count: int
) -> Iterator[tuple[slice, I64]]:
    """Yield (block of rows, int64 ``[Q', count]`` rows of their nearest background vectors)."""
    if not 1 <= count <= len(background):
        raise AslError(
            f"negatives: {count} neighbours need as many background images, "
            f"got {len(background)}; use a larger background"
        )
    if vectors.shape[1] != background.dim:
        raise AslError(
            "negatives: features and background must have the same dimensions: features have "
            f"{vectors.shape[1]} dimensions, the background has {background.dim}; "
            "embed both with the same model"
        )
    for start in range(0, len(vectors), _QUERY_BLOCK):
        block = slice(start, min(start + _QUERY_BLOCK, len(vectors)))
        cosines = vectors[block] @ background.vectors.T
        yield block, np.argpartition(-cosines, count - 1, axis=1)[:, :count].astype(np.int64)


def _with_unit_vectors(embeddings: Role, vectors: F32) -> Role:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if np.any(norms == 0):
        row = int(np.flatnonzero(norms[:, 0] == 0)[0])
        raise AslError(
            f"negatives: nothing is left of {str(embeddings.ids[row])!r}; use a smaller weight"
        )
    return type(embeddings)(embeddings.ids, vectors / norms, embeddings.log_norms)
