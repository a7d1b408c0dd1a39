"""Top-k among the admissible references only, at about half the work of plain nearest neighbours.

With references sorted by falling log-norm, the ones that a query admits (n_q - n_r <= tau) are a prefix. With queries
sorted by the length of their prefix, what has to be compared is the area under a staircase: it is cut into a
rectangle that all queries share, which the engine searches, and two smaller staircases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asl.index.engine import ROUNDING, Engine
from asl.index.tiles import Running
from asl.scoring.score import admissible
from asl.types import F32, I64, QueryEmbeddings, ReferenceEmbeddings

_LEAVES = 64  # staircases are cut down to this share of the queries ...
_LEAST = 16  # ... or to this many, below which a product of their own does not pay
_CELLS = 2**21  # a product of this size is quicker to compare with what is there than to rank; 8 MiB


@dataclass(frozen=True, eq=False)
class Prefixes:
    """References sorted by falling log-norm.

    Attributes:
        order: int64 ``[R]`` row in the original order; None where that was sorted already.
        vectors: float32 ``[R, D]`` sorted.
        log_norms: float32 ``[R]`` falling.
        tau: log-norm difference that is still free.
    """

    order: I64 | None
    vectors: F32
    log_norms: F32
    tau: float

    @classmethod
    def of(cls, references: ReferenceEmbeddings, *, tau: float) -> Prefixes:
        """Sort references once for any number of queries; sorted ones (of an index) are used in place."""
        if np.all(references.log_norms[1:] <= references.log_norms[:-1]):
            return cls(None, np.ascontiguousarray(references.vectors), references.log_norms, tau)
        order = np.argsort(-references.log_norms, kind="stable").astype(np.int64)
        return cls(order, np.ascontiguousarray(references.vectors[order]), references.log_norms[order], tau)

    def lengths(self, query_norms: F32) -> I64:
        """int64 ``[Q]`` how many references each query admits."""
        falling = -self.log_norms.astype(np.float64)
        found = np.searchsorted(falling, -(query_norms.astype(np.float64) - self.tau), side="right")
        # The rule is n_q - n_r <= tau in float64; the search rounds n_q - tau instead: mend the border.
        last = np.minimum(found, len(falling) - 1)
        found = found + ((found < len(falling)) & admissible(query_norms, self.log_norms[last], tau=self.tau))
        previous = np.maximum(found - 1, 0)
        found = found - ((found > 0) & ~admissible(query_norms, self.log_norms[previous], tau=self.tau))
        return found.astype(np.int64)


def strict_top(
    queries: QueryEmbeddings, rows: I64, prefixes: Prefixes, m: int, engine: Engine, *, width: int
) -> tuple[I64, npt.NDArray[np.float64]]:
    """The m nearest admissible references of each query, and a bound on the cosine of every admissible one left out.

    Args:
        queries: all queries.
        rows: int64 ``[Q']`` which of them.
        prefixes: the sorted references.
        m: how many to fetch.
        engine: for the rectangles.
        width: most references that an engine gets at once.

    Returns:
        int64 ``[Q', m]`` rows of the references, -1 where there is none; float64 ``[Q']`` bounds, -inf: complete.
    """
    lengths = prefixes.lengths(queries.log_norms[rows])
    order = np.argsort(lengths, kind="stable")
    stairs = _Staircase(
        np.ascontiguousarray(queries.vectors[rows[order]]), lengths[order], prefixes.vectors, engine, m, width
    )
    stairs.search(0, len(rows), 0)
    found, bound = np.empty((len(rows), m), dtype=np.int64), np.empty(len(rows))
    found[order], bound[order] = stairs.best.rows, stairs.best.bound
    return _original(found, prefixes.order), bound


def _original(found: I64, order: I64 | None) -> I64:
    return found if order is None else np.where(found >= 0, order[np.maximum(found, 0)], -1)


class _Staircase:
    """Queries sorted by the length of their prefix, and what was found for them so far."""

    def __init__(self, vectors: F32, lengths: I64, references: F32, engine: Engine, m: int, width: int) -> None:
        self._vectors, self._lengths, self._references = vectors, lengths, references
        self._engine, self._m, self._width = engine, m, width
        self._leaf = max(_LEAST, len(vectors) // _LEAVES)
        self.best = Running(len(vectors), m)

    def search(self, first: int, last: int, low: int) -> None:
        """Queries first..last-1 against the references from ``low`` to the end of each query's prefix."""
        while first < last:
            shared, longest = int(self._lengths[first]), int(self._lengths[last - 1])
            self._rectangle(first, last, low, shared)
            low = max(low, shared)
            if longest <= low:
                return
            if last - first <= self._leaf:
                self._ragged(first, last, low, longest)
                return
            middle = (first + last) // 2
            self.search(first, middle, low)
            first = middle

    def _rectangle(self, first: int, last: int, low: int, high: int) -> None:
        if (high - low) * (last - first) <= _CELLS:
            self._ragged(first, last, low, high)
            return
        for start in range(low, high, self._width):
            stop = min(start + self._width, high)
            width = min(self._m, stop - start)
            scores, rows = self._engine.top(self._vectors[first:last], self._references[start:stop], width)
            left_out = width < stop - start
            self.best.merge(slice(first, last), scores, rows + start, left_out, self._engine.rounding)

    def _ragged(self, first: int, last: int, low: int, high: int) -> None:
        """References that perhaps only some of the queries admit: a product whose other cells count as -inf."""
        step = max(1024, _CELLS // (last - first))
        for start in range(low, high, step):
            stop = min(start + step, high)
            products = self._vectors[first:last] @ self._references[start:stop].T
            if stop > self._lengths[first]:
                products[np.arange(start, stop)[None, :] >= self._lengths[first:last, None]] = -np.inf
            self.best.merge_products(slice(first, last), products, start, max(ROUNDING, self._engine.rounding))
