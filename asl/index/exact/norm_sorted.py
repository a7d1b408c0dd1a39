"""References by falling log-norm: what a query admits is a prefix of them; strips of them suit many queries at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from asl.scoring.score import SAME_NORM, admissible
from asl.types import F32, I64, ReferenceEmbeddings

# What beginning a list of one neighbour costs an engine, in multiplications: measured with FAISS on
# two cores.
BEGIN = 12_800


@dataclass(frozen=True, eq=False)
class NormSortedReferences:
    """References sorted by falling log-norm.

    Attributes:
        order: int64 ``[R]`` row in the original order; None where that was sorted already (an index
            of asl).
        vectors: float32 ``[R, D]`` in the original order; may be memory-mapped.
        log_norms: float32 ``[R]`` falling.
        tau: log-norm difference that is still free.
    """

    order: I64 | None
    vectors: F32
    log_norms: F32
    tau: float

    @classmethod
    def of(cls, references: ReferenceEmbeddings, *, tau: float) -> NormSortedReferences:
        """Sort references once for any number of queries; vectors are gathered when they are needed."""
        if np.all(references.log_norms[1:] <= references.log_norms[:-1]):
            return cls(None, references.vectors, references.log_norms, tau)
        order = np.argsort(-references.log_norms, kind="stable").astype(np.int64)
        return cls(order, references.vectors, references.log_norms[order], tau)

    def lengths(self, query_norms: F32) -> I64:
        """int64 ``[Q]`` how many references each query admits."""
        falling = -self.log_norms.astype(np.float64)
        found = np.searchsorted(
            falling, -(query_norms.astype(np.float64) - (self.tau + SAME_NORM)), side="right"
        )
        # The rule compares n_q - n_r in float64; the search rounds n_q - tau instead: mend the
        # border.
        last = np.minimum(found, len(falling) - 1)
        found = found + (
            (found < len(falling)) & admissible(query_norms, self.log_norms[last], tau=self.tau)
        )
        previous = np.maximum(found - 1, 0)
        found = found - (
            (found > 0) & ~admissible(query_norms, self.log_norms[previous], tau=self.tau)
        )
        return found.astype(np.int64)

    def strip(self, low: int, high: int) -> F32:
        """Unit vectors of the references low..high-1, contiguous; read in place where they are sorted."""
        if self.order is None:
            return np.ascontiguousarray(self.vectors[low:high])
        return self.vectors[self.order[low:high]]

    def original(self, rows: I64) -> I64:
        """Rows in the original order; -1 stays."""
        return (
            rows if self.order is None else np.where(rows >= 0, self.order[np.maximum(rows, 0)], -1)
        )


def pieces(lengths: I64, *, dim: int, m: int) -> int:
    """How many strips are quickest where what some queries admit of a strip is a staircase.

    S strips compare R / 2S references a query too many, and begin S lists of m, half of them for a
    query on average.
    """
    spread = float(lengths[-1] - lengths[0])
    return max(1, round(math.sqrt(spread * dim / (BEGIN * m))))


def strips(lengths: I64, low: int, high: int, *, count: int, width: int) -> list[tuple[int, int]]:
    """Cuts the references low..high-1 into strips.

    Args:
        lengths: int64 ``[Q]`` what each query admits, rising.
        low: first reference.
        high: behind the last reference.
        count: strips end where the prefix of every Q / count-th query does; with as many as
            queries, of each.
        width: most references in a strip.

    Returns:
        The first reference of each strip, and the one behind its last.
    """
    step = -(-len(lengths) // count)
    borders = np.unique(np.concatenate([lengths[::step], lengths[-1:], [low, high]]))
    found: list[tuple[int, int]] = []
    for start, stop in pairwise(borders[(borders >= low) & (borders <= high)].tolist()):
        found += pairwise(
            np.linspace(start, stop, -(-(stop - start) // width) + 1).astype(int).tolist()
        )
    return found
