"""PCA whitening of directions, fitted on background images (never on references)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from asl.types import AslError, BackgroundEmbeddings, Embeddings

Some = TypeVar("Some", bound=Embeddings)
_ROWS = 4096  # at a time: in float64 a million rows of 8,192 dimensions would be 66 GB
# Variance of unit vectors that is float32 rounding (6e-8 squared): whitening would amplify it.
_ROUNDING = 1e-14


@dataclass(frozen=True, eq=False)
class Whitening:
    """u -> P (u − mean), made unit length again; log-norms stay as they are.

    Attributes:
        mean: float64 ``[D]``.
        projection: float64 ``[d, D]``, rows scaled by eigenvalue^(−power).
    """

    mean: npt.NDArray[np.float64]
    projection: npt.NDArray[np.float64]

    @classmethod
    def fit(cls, background: BackgroundEmbeddings, *, dim: int, power: float = 0.5) -> Whitening:
        """Fit on background embeddings (Jégou & Chum, ECCV 2012; ``PCAW`` in FAISS).

        Args:
            background: training images.
            dim: d, at most D, the number of images minus one, and the dimensions they vary in.
            power: 0.5 whitens, 0 only rotates and cuts.

        Raises:
            AslError: ``dim`` is larger than that.
        """
        count, most = len(background), min(background.dim, len(background) - 1)
        if not 1 <= dim <= most:
            raise AslError(
                f"whiten: must be in 1..{most} with {count} background images, got {dim}"
            )
        mean, covariance = _moments(background)
        values, axes = np.linalg.eigh(covariance)
        varied = int((values > _ROUNDING).sum())
        if dim > varied:
            raise AslError(
                f"whiten: must be at most {varied}, the dimensions in which the {count} background "
                f"images vary, got {dim}; give images that differ"
            )
        order = np.argsort(-values)[:dim]
        scale = np.maximum(values[order], 1e-9 * values.max()) ** -power
        return cls(mean, axes[:, order].T * scale[:, None])

    def apply(self, embeddings: Some) -> Some:
        """Whitened embeddings of the same role.

        Raises:
            AslError: another dimension, or an embedding that is exactly the mean.
        """
        if embeddings.dim != len(self.mean):
            raise AslError(
                f"whitening: fitted on {len(self.mean)} dimensions, got {embeddings.dim}"
            )
        result = np.empty((len(embeddings), len(self.projection)), dtype=np.float32)
        for low in range(0, len(embeddings), _ROWS):
            moved = (
                embeddings.vectors[low : low + _ROWS].astype(np.float64) - self.mean
            ) @ self.projection.T
            lengths = np.linalg.norm(moved, axis=1, keepdims=True)
            if np.any(lengths == 0):
                raise AslError(
                    "whitening: an embedding equals the background's mean, "
                    "its direction is undefined"
                )
            result[low : low + _ROWS] = moved / lengths
        return type(embeddings)(embeddings.ids, result, embeddings.log_norms)


def _moments(
    background: BackgroundEmbeddings,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean ``[D]`` and covariance ``[D, D]`` in float64, summed over blocks of rows.

    Holds two D x D matrices and one block, whatever the number of images.
    """
    count, dim = background.vectors.shape
    mean = np.zeros(dim, dtype=np.float64)
    for low in range(0, count, _ROWS):
        mean += background.vectors[low : low + _ROWS].sum(axis=0, dtype=np.float64)
    mean /= count
    scatter = np.zeros((dim, dim), dtype=np.float64)
    for low in range(0, count, _ROWS):
        centred = background.vectors[low : low + _ROWS].astype(np.float64) - mean
        scatter += centred.T @ centred
    return mean, scatter / (count - 1)
