"""Several models, or one model at several sizes, as one: the cosine is the weighted mean of their cosines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from asl.types import AslError, Embeddings

Some = TypeVar("Some", bound=Embeddings)


def ensemble(members: Sequence[Some], weights: Sequence[float] | None = None) -> Some:
    """Join features of the same images.

    Each member's unit vectors are scaled by the root of its share of the weights and laid side by
    side, so that the joined cosine is the weighted mean of the members'; so is the log-norm, and
    with it n_r - n_q.

    Args:
        members: embeddings with the same ids in the same order; their dimensions may differ.
        weights: one above 0 for each; equal unless given.

    Raises:
        AslError: no members, other ids, or wrong weights.
    """
    if not members:
        raise AslError("ensemble: needs at least one member")
    given = np.ones(len(members)) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape != (len(members),) or not np.all(np.isfinite(given)) or np.any(given <= 0):
        raise AslError(f"ensemble: expected {len(members)} weights above 0, got {weights}")
    first = members[0]
    for number, member in enumerate(members[1:], 2):
        if not np.array_equal(member.ids, first.ids):
            raise AslError(
                f"ensemble: member {number} is of other images, or has them in another order"
            )
    shares = given / given.sum()
    roots = np.sqrt(shares)
    vectors = np.concatenate(
        [member.vectors * np.float32(root) for member, root in zip(members, roots, strict=True)],
        axis=1,
    )
    norms = sum(
        share * member.log_norms.astype(np.float64)
        for member, share in zip(members, shares, strict=True)
    )
    return type(first)(first.ids, vectors, np.asarray(norms, dtype=np.float32))
