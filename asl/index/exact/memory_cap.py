"""Memory cap of a search: sizes of the pieces in which it works."""

from __future__ import annotations

from dataclasses import dataclass

from asl.types import UsageError

_FLOAT_BYTES = 4
_CANDIDATE_BYTES = 128  # a (query, candidate) pair at the peak: scores, rows, ids, gathered vectors
_ENCODED_BYTES = 2**27  # references that are written in D + 2 dimensions at once
_MOST_QUERIES = 2**16


@dataclass(frozen=True)
class MemoryCap:
    """Sizes of the pieces that a search may hold at once.

    Attributes:
        candidates: (query, candidate) pairs.
        queries: queries of a chunk.
        references: references of a block, float32 ``[n, D]``.
        encoded: references of a block that is written in D + 2 dimensions.
    """

    candidates: int
    queries: int
    references: int
    encoded: int

    @classmethod
    def of(cls, gib: float, *, dim: int) -> MemoryCap:
        """Divide a cap between the pieces.

        Args:
            gib: GiB that a search may take beside its inputs and its result.
            dim: D, dimensions of a vector.

        Raises:
            UsageError: the cap is not above 0.

        >>> MemoryCap.of(4.0, dim=256).references
        1040447
        """
        if gib <= 0:
            raise UsageError(f"memory: must be more than 0 GiB, got {gib}; give a larger number")
        share = int(gib * 2**30) // 4
        row_bytes = _FLOAT_BYTES * (dim + 2)
        rows = share // row_bytes
        references = max(1024, rows)
        return cls(
            candidates=share // _CANDIDATE_BYTES,
            queries=min(max(64, rows), _MOST_QUERIES),
            references=references,
            encoded=min(references, max(1024, _ENCODED_BYTES // row_bytes)),
        )
