"""Top-k among the admissible references only, at about half the work of plain nearest neighbours.

With references sorted by falling log-norm, the ones that a query admits (n_q - n_r <= tau) are a prefix. Queries
sorted by their prefix go through in blocks: the prefix that a whole block shares is searched by the engine, the
ragged rest by a masked product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asl.index.engine import Engine
from asl.scoring.score import admissible
from asl.types import F32, I64, QueryEmbeddings, ReferenceEmbeddings

_BLOCKS = 24  # blocks of queries: more waste less of the ragged rest, fewer make larger products
_LEAST = 256  # queries in a block, below which a matrix product is slow


@dataclass(frozen=True, eq=False)
class Prefixes:
    """References sorted by falling log-norm.

    Attributes:
        order: int64 ``[R]`` row in the original order.
        vectors: float32 ``[R, D]`` sorted.
        log_norms: float32 ``[R]`` falling.
        tau: log-norm difference that is still free.
    """

    order: I64
    vectors: F32
    log_norms: F32
    tau: float

    @classmethod
    def of(cls, references: ReferenceEmbeddings, *, tau: float) -> Prefixes:
        """Sort references once for any number of queries."""
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
    queries: QueryEmbeddings, rows: I64, prefixes: Prefixes, m: int, engine: Engine
) -> tuple[I64, npt.NDArray[np.float64]]:
    """About m candidates per query, all admissible, and a bound on the cosine of every admissible one left out.

    Args:
        queries: all queries.
        rows: int64 ``[Q']`` which of them.
        prefixes: the sorted references.
        m: how many to fetch from either part.
        engine: for the shared prefixes.

    Returns:
        int64 ``[Q', 2m]`` rows of the references, -1 where there is none; float64 ``[Q']`` bounds, -inf: complete.
    """
    lengths = prefixes.lengths(queries.log_norms[rows])
    order = np.argsort(lengths, kind="stable")
    found = np.full((len(rows), 2 * m), -1, dtype=np.int64)
    bound = np.full(len(rows), -np.inf)
    size = max(_LEAST, -(-len(rows) // _BLOCKS))
    for start in range(0, len(rows), size):
        part = order[start : start + size]
        vectors = np.ascontiguousarray(queries.vectors[rows[part]])
        found[part], bound[part] = _block(vectors, lengths[part], prefixes, m, engine)
    return np.where(found >= 0, prefixes.order[np.maximum(found, 0)], -1), bound


def _block(
    vectors: F32, lengths: I64, prefixes: Prefixes, m: int, engine: Engine
) -> tuple[I64, npt.NDArray[np.float64]]:
    shared, longest = int(lengths[0]), int(lengths[-1])
    found = np.full((len(vectors), 2 * m), -1, dtype=np.int64)
    bound = np.full(len(vectors), -np.inf)
    if shared:
        width = min(m, shared)
        scores, rows = engine.top(vectors, prefixes.vectors[:shared], width)
        found[:, :width] = rows
        if width < shared:
            bound = scores[:, -1] + np.float64(engine.rounding)
    if longest > shared:
        _ragged(vectors, lengths, prefixes, (shared, longest), found[:, m:], bound, engine.rounding)
    return found, bound


def _ragged(
    vectors: F32,
    lengths: I64,
    prefixes: Prefixes,
    span: tuple[int, int],
    found: I64,
    bound: npt.NDArray[np.float64],
    rounding: float,
) -> None:
    """Search the references that only some queries of a block admit; writes into ``found`` and ``bound``."""
    low, high = span
    width = min(found.shape[1], high - low)
    step = max(1, 2**22 // (high - low))  # keeps a product under 16 MiB
    for start in range(0, len(vectors), step):
        part = slice(start, start + step)
        products = vectors[part] @ prefixes.vectors[low:high].T
        products[np.arange(low, high)[None, :] >= lengths[part, None]] = -np.inf
        if width < high - low:
            rows = np.argpartition(-products, width - 1, axis=1)[:, :width]
        else:
            rows = np.broadcast_to(np.arange(high - low), products.shape)
        best = np.take_along_axis(products, rows, axis=1)
        found[part, :width] = np.where(np.isneginf(best), -1, rows + low)
        left_out = lengths[part] - low > width
        bound[part] = np.maximum(bound[part], np.where(left_out, best.min(axis=1) + np.float64(rounding), -np.inf))
