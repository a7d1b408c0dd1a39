"""References sorted by falling log-norm: the admissible ones of a query are a prefix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from asl.index.engines.protocol import LIST_ENTRY_COST, Engine, HeldReferences
from asl.index.exact.top_lists import bound_of_list
from asl.scoring.score import SAME_NORM, admissible
from asl.types import F32, F64, I64, ReferenceEmbeddings


@dataclass(frozen=True, eq=False)
class NormSortedReferences:
    """References sorted by falling log-norm, searched by strips.

    Attributes:
        order: int64 ``[R]`` row in the original order; None where that is sorted already (an index
            of asl).
        vectors: float32 ``[R, D]`` in the original order; may be memory-mapped.
        log_norms: float32 ``[R]`` falling.
        tau: log-norm difference n_q - n_r that is still admissible.
        held: the sorted vectors on an engine's device; None: strips are gathered in memory.
    """

    order: I64 | None
    vectors: F32
    log_norms: F32
    tau: float
    held: HeldReferences | None = None

    @classmethod
    def of(
        cls, references: ReferenceEmbeddings, *, tau: float, engine: Engine | None = None
    ) -> NormSortedReferences:
        """Sort references once for any number of queries.

        Args:
            references: R references; their vectors are gathered when they are needed.
            tau: log-norm difference that is still admissible.
            engine: an engine with a device of its own is asked to hold the sorted vectors.

        >>> vectors = np.eye(3, dtype=np.float32)
        >>> norms = np.array([0.1, 0.5, 0.3], dtype=np.float32)
        >>> references = ReferenceEmbeddings(np.array(["a", "b", "c"]), vectors, norms)
        >>> sorted_references = NormSortedReferences.of(references, tau=0.0)
        >>> sorted_references.original(np.arange(3)).tolist()
        [1, 2, 0]
        >>> sorted_references.lengths(np.array([0.2, 0.6], dtype=np.float32)).tolist()
        [2, 0]
        """
        norms = references.log_norms
        order = None
        if not np.all(norms[1:] <= norms[:-1]):
            order = np.argsort(-norms, kind="stable").astype(np.int64)
            norms = norms[order]
        held = engine.hold(references.vectors, order) if engine and engine.on_device else None
        return cls(order, references.vectors, norms, tau, held)

    def lengths(self, query_norms: F32) -> I64:
        """Return int64 ``[Q]``, the number of references that each query admits."""
        falling = -self.log_norms.astype(np.float64)
        limits = -(query_norms.astype(np.float64) - (self.tau + SAME_NORM))
        counts = np.searchsorted(falling, limits, side="right")
        # The rule compares n_q - n_r in float64; the search rounds n_q - tau instead: correct the
        # border.
        following = np.minimum(counts, len(falling) - 1)
        one_more = admissible(query_norms, self.log_norms[following], tau=self.tau)
        counts = counts + ((counts < len(falling)) & one_more)
        last = np.maximum(counts - 1, 0)
        one_less = ~admissible(query_norms, self.log_norms[last], tau=self.tau)
        counts = counts - ((counts > 0) & one_less)
        return counts.astype(np.int64)

    def strip(self, low: int, high: int) -> F32:
        """Return the unit vectors of the references low..high-1, contiguous.

        They are read in place where the references are sorted already.
        """
        if self.order is None:
            return np.ascontiguousarray(self.vectors[low:high])
        return self.vectors[self.order[low:high]]

    def original(self, rows: I64) -> I64:
        """Convert rows to the original order; -1 stays."""
        if self.order is None:
            return rows
        return np.where(rows >= 0, self.order[np.maximum(rows, 0)], -1)

    @property
    def has_fixed_strips(self) -> bool:
        """Report whether strips are those that the device holds, which cannot be divided."""
        return self.held is not None and self.held.borders is not None

    def cut(
        self, ends: I64, low: int, high: int, *, count: int, width: int
    ) -> list[tuple[int, int]]:
        """Cut the references low..high-1 into strips, at the borders of an engine that holds them.

        Args:
            ends: int64 ``[Q]`` rows at which strips should end, rising.
            low: first reference.
            high: row after the last reference; a strip that is held in one piece may go beyond it.
            count: number of strips to aim at.
            width: most references that fit in memory at once.

        Returns:
            (low, high) of each strip.
        """
        if self.held is None:
            return strips(ends, low, high, count=count, width=width)
        borders = self.held.borders
        if borders is None:
            return strips(ends, low, high, count=count, width=max(1, high - low))
        first = int(np.searchsorted(borders, low, side="right")) - 1
        last = int(np.searchsorted(borders, high, side="left"))
        return list(pairwise(borders[first : last + 1].tolist()))

    def list_strip(
        self, engine: Engine, queries: F32, low: int, high: int, m: int
    ) -> tuple[F32, I64, F64]:
        """Search one strip.

        Args:
            engine: searches the strip.
            queries: float32 ``[Q, D]``.
            low: first reference of the strip.
            high: row after its last reference.
            m: list length; lists are shorter where the strip is.

        Returns:
            float32 ``[Q, m']`` cosines, descending, int64 ``[Q, m']`` sorted rows, and float64
            ``[Q]`` bounds on the cosines of the strip's other references.
        """
        length = min(m, high - low)
        if self.held is None:
            scores, rows = engine.top(queries, self.strip(low, high), length)
        else:
            scores, rows = self.held.top(queries, length, low=low, high=high)
        bound = bound_of_list(scores, length, high - low, rounding=engine.rounding)
        return scores, rows + low, bound


def strip_count(lengths: I64, *, dim: int, m: int, list_entry_cost: int = LIST_ENTRY_COST) -> int:
    """Number of strips that minimises cost when queries admit prefixes of different lengths.

    S strips compare R / 2S references a query too many, and start S lists of m, half of them for a
    query on average.

    Args:
        lengths: int64 ``[Q]`` references that each query admits, rising.
        dim: D.
        m: list length.
        list_entry_cost: of the engine.

    >>> strip_count(np.array([10_000, 10_000]), dim=256, m=18)
    1
    >>> strip_count(np.array([0, 1_000_000]), dim=256, m=18)
    33
    """
    spread = float(lengths[-1] - lengths[0])
    return max(1, round(math.sqrt(spread * dim / (list_entry_cost * m))))


def strips(lengths: I64, low: int, high: int, *, count: int, width: int) -> list[tuple[int, int]]:
    """Cut the references low..high-1 into strips.

    Args:
        lengths: int64 ``[Q]`` references that each query admits, rising.
        low: first reference.
        high: row after the last reference.
        count: strips end with the prefix of every Q / count-th query; with as many strips as
            queries, of each.
        width: most references in a strip.

    Returns:
        (low, high) of each strip.

    >>> strips(np.array([3, 8]), 0, 10, count=2, width=4)
    [(0, 3), (3, 5), (5, 8), (8, 10)]
    """
    step = -(-len(lengths) // count)
    borders = np.unique(np.concatenate([lengths[::step], lengths[-1:], [low, high]]))
    cuts: list[tuple[int, int]] = []
    for start, stop in pairwise(borders[(borders >= low) & (borders <= high)].tolist()):
        parts = -(-(stop - start) // width)
        cuts += pairwise(np.linspace(start, stop, parts + 1).astype(int).tolist())
    return cuts
