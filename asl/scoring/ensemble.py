"""Ensembles: the cosine of several models, or of one at several sizes, is their weighted mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from asl.types import AslError, Embeddings

Role = TypeVar("Role", bound=Embeddings)


def ensemble(members: Sequence[Role], weights: Sequence[float] | None = None) -> Role:
    """Join features of the same images.

    Each member's unit vectors are scaled by the root of its share of the weights and laid side by
    side, so that the joined cosine is the weighted mean of the members'; so is the log-norm, and
    with it n_r - n_q.

    Args:
        members: embeddings ``[N, D_i]`` with the same ids in the same order.
        weights: one weight above 0 per member; equal unless given.

    Returns:
        Embeddings ``[N, sum of D_i]`` of the same role.

    Raises:
        AslError: there are no members, their ids differ, or a weight is not above 0.

    >>> first = Embeddings.from_features(["a", "b"], [[1.0, 0.0], [0.0, 1.0]])  # cosine 0
    >>> second = Embeddings.from_features(["a", "b"], [[1.0], [1.0]])  # cosine 1
    >>> joined = ensemble([first, second], [3.0, 1.0])
    >>> f"{joined.vectors[0] @ joined.vectors[1]:.2f}"
    '0.25'
    """
    if not members:
        raise AslError("ensemble: needs at least one member, got none; name a feature store")
    given = np.ones(len(members)) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape != (len(members),) or not np.all(np.isfinite(given)) or np.any(given <= 0):
        raise AslError(
            f"ensemble: needs {len(members)} weights above 0, one per member, got {weights}"
        )
    first = members[0]
    for number, member in enumerate(members[1:], 2):
        if not np.array_equal(member.ids, first.ids):
            raise AslError(
                f"ensemble: member {number} is of other images, or has them in another order; "
                "extract all members from the same images"
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
