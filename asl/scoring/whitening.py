"""PCA whitening of directions, fitted on background images (never on references)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from asl.counts import counted
from asl.types import F64, AslError, BackgroundEmbeddings, Embeddings

Role = TypeVar("Role", bound=Embeddings)
_BLOCK_ROWS = 4096  # in float64 a million rows of 8,192 dimensions would be 66 GB
# Variance of unit vectors that is float32 rounding (6e-8 squared): whitening would amplify it.
_ROUNDING_VARIANCE = 1e-14
_LEAST_EIGENVALUE = 1e-9  # as a share of the largest


@dataclass(frozen=True, eq=False)
class Whitening:
    """Map from u to the unit vector of P (u − mean); log-norms stay.

    Attributes:
        mean: float64 ``[D]``.
        projection: float64 ``[d, D]``, rows scaled by eigenvalue^(−power).
    """

    mean: F64
    projection: F64

    @classmethod
    def fit(cls, background: BackgroundEmbeddings, *, dim: int, power: float = 0.5) -> Whitening:
        """Fit on background embeddings (Jégou & Chum, ECCV 2012; ``PCAW`` in FAISS).

        Args:
            background: training images.
            dim: d, at most D, the number of images minus one, and the dimensions they vary in.
            power: 0.5 whitens, 0 only rotates and cuts.

        Raises:
            AslError: ``dim`` is out of range.

        >>> features = [[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
        >>> background = BackgroundEmbeddings.from_features(["a", "b", "c", "d"], features)
        >>> Whitening.fit(background, dim=1).projection.shape
        (1, 2)
        """
        count, most = len(background), min(background.dim, len(background) - 1)
        if not 1 <= dim <= most:
            raise AslError(
                f"whiten: must be in 1..{most} with {counted(count, 'background image')} of "
                f"{background.dim} dimensions, got {dim}; use fewer dimensions or more images"
            )
        mean, covariance = _moments(background)
        values, axes = np.linalg.eigh(covariance)
        varied = int((values > _ROUNDING_VARIANCE).sum())
        if dim > varied:
            raise AslError(
                f"whiten: must be at most {varied}, the dimensions in which the {count} background "
                f"images vary, got {dim}; give images that differ"
            )
        order = np.argsort(-values)[:dim]
        scale = np.maximum(values[order], _LEAST_EIGENVALUE * values.max()) ** -power
        return cls(mean, axes[:, order].T * scale[:, None])

    def apply(self, embeddings: Role) -> Role:
        """Whiten embeddings ``[N, D]``; the result ``[N, d]`` has the same role.

        Raises:
            AslError: the dimensions differ, or an embedding is exactly the mean.

        >>> half = Whitening(np.zeros(2), np.array([[1.0, 0.0]]))
        >>> half.apply(Embeddings.from_features(["q"], [[3.0, 4.0]])).vectors.tolist()
        [[1.0]]
        """
        if embeddings.dim != len(self.mean):
            raise AslError(
                f"whitening: features must have the {len(self.mean)} dimensions that it was "
                f"fitted on, got {embeddings.dim}; embed both with the same model"
            )
        whitened = np.empty((len(embeddings), len(self.projection)), dtype=np.float32)
        for low in range(0, len(embeddings), _BLOCK_ROWS):
            block = embeddings.vectors[low : low + _BLOCK_ROWS].astype(np.float64)
            projected = (block - self.mean) @ self.projection.T
            norms = np.linalg.norm(projected, axis=1, keepdims=True)
            if np.any(norms == 0):
                row = low + int(np.flatnonzero(norms[:, 0] == 0)[0])
                raise AslError(
                    f"whitening: {str(embeddings.ids[row])!r} equals the background's mean, "
                    "its direction is undefined; remove the image or use another background"
                )
            whitened[low : low + _BLOCK_ROWS] = projected / norms
        return type(embeddings)(embeddings.ids, whitened, embeddings.log_norms)


def _moments(
    background: BackgroundEmbeddings,
) -> tuple[F64, F64]:
    """Return the mean ``[D]`` and the covariance ``[D, D]`` in float64, summed by blocks of rows.

    Holds two D x D matrices and one block, whatever the number of images.
    """
    count, dim = background.vectors.shape
    mean = np.zeros(dim, dtype=np.float64)
    for low in range(0, count, _BLOCK_ROWS):
        mean += background.vectors[low : low + _BLOCK_ROWS].sum(axis=0, dtype=np.float64)
    mean /= count
    scatter = np.zeros((dim, dim), dtype=np.float64)
    for low in range(0, count, _BLOCK_ROWS):
        centred = background.vectors[low : low + _BLOCK_ROWS].astype(np.float64) - mean
        scatter += centred.T @ centred
    return mean, scatter / (count - 1)
