"""PCA whitening of directions, fitted on background images (never on references)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from asl.types import AslError, BackgroundEmbeddings, Embeddings

Some = TypeVar("Some", bound=Embeddings)
_ROWS = 16384  # at a time: in float64 a million rows of 8,192 dimensions would be 66 GB


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
            dim: d, at most D and the number of images minus one.
            power: 0.5 whitens, 0 only rotates and cuts.
        """
        most = min(background.dim, len(background) - 1)
        if not 1 <= dim <= most:
            raise AslError(
                f"whitening: dim must be in 1..{most} with {len(background)} background images, got {dim}"
            )
        vectors = background.vectors.astype(np.float64)
        mean = vectors.mean(axis=0)
        values, axes = np.linalg.eigh(np.cov(vectors - mean, rowvar=False))
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
                    "whitening: an embedding equals the background's mean, its direction is undefined"
                )
            result[low : low + _ROWS] = moved / lengths
        return type(embeddings)(embeddings.ids, result, embeddings.log_norms)
