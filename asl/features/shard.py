"""One shard of a store at a time, for passes over stores that are larger than the memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from asl.types import F32, F64, I64, AslError, Embeddings, StrArray

_BLOCK_ROWS = 65536  # that are read at once


@dataclass(frozen=True, eq=False)
class StoreShard:
    """Images of one shard; their features stay on the disk.

    Attributes:
        ids: ``[n]``.
        norms: float64 ``[n]`` norms of the features.
        dim: D, the number of dimensions.
    """

    ids: StrArray
    norms: F64
    dim: int
    _open: Callable[[], F32]
    _rows: I64

    @classmethod
    def of(cls, ids: StrArray, opened: Callable[[], F32], rows: I64) -> StoreShard:
        """Take images of a shard.

        Args:
            ids: ``[n]`` of them.
            opened: maps the features ``[m, D]`` of the shard when they are needed; a permanent map
                would be an open file, and the number of those is limited.
            rows: int64 ``[n]`` rows of the images in the shard.

        Raises:
            AslError: a feature is not finite, or 0 (its image is named).
        """
        features = opened()
        parts = [rows[low : low + _BLOCK_ROWS] for low in range(0, len(rows), _BLOCK_ROWS)]
        norms = np.concatenate(
            [np.linalg.norm(features[part].astype(np.float64), axis=1) for part in parts]
        )
        bad = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
        if len(bad):
            raise AslError(
                f"features: {str(ids[bad[0]])!r} has norm {norms[bad[0]]}, so no direction; "
                "extract it again"
            )
        return cls(ids, norms, features.shape[1], opened, rows)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def log_norms(self) -> F32:
        """float32 ``[n]`` natural logarithms of the norms."""
        return np.log(self.norms).astype(np.float32)

    def units(self, rows: I64) -> F32:
        """Return the unit vectors float32 ``[m, D]`` of some images.

        They equal those of :class:`asl.types.Embeddings` to the bit.
        """
        raw = self._open()[self._rows[rows]]
        vectors = np.empty(raw.shape, dtype=np.float32)
        return np.divide(
            raw, self.norms[rows, None], out=vectors, dtype=np.float64, casting="same_kind"
        )

    def embeddings(self) -> Embeddings:
        """Read the whole shard into memory."""
        return Embeddings(self.ids, self.units(np.arange(len(self))), self.log_norms)
