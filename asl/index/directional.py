"""Top-k by the two scores that are no inner products, as inner products over strips of references.

References are sorted by falling log-norm and queries by how many they admit (n_q - n_r <= tau), so whoever admits
anything of a strip is a suffix of the queries. ``strict`` compares each strip with its suffix: half the work of plain
neighbours where both sides have norms of one law. ``hinge`` compares all strips with all queries; it is the smaller of

    u_q . u_r    and    u_q . u_r + lam n_r - lam (n_q - tau),

the first of the two for references that the query admits, the second for the others: one inner product in D + 2
dimensions for every query whose prefix does not end inside the strip, and an upper bound of the score for the rest.
What an upper bound or an inadmissible neighbour hides is left to the certificate; another fetch has fewer queries and
so strips that end where their prefixes do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from asl.index.engine import Engine
from asl.index.prefixes import Prefixes, pieces, strips
from asl.index.running import Running, encoded_rounding
from asl.scoring.score import Score, encode_rows
from asl.types import F32, I64, QueryEmbeddings

_F64 = npt.NDArray[np.float64]


def strict_top(
    queries: QueryEmbeddings, rows: I64, prefixes: Prefixes, m: int, engine: Engine, *, width: int
) -> tuple[I64, _F64]:
    """The m nearest admissible references of each query, and a bound on the cosine of every admissible one left out.

    Args:
        queries: all queries.
        rows: int64 ``[Q']`` which of them.
        prefixes: the sorted references.
        m: how many to fetch.
        engine: searches a strip.
        width: most references that it gets at once.

    Returns:
        int64 ``[Q', m]`` rows of the references, -1 where there is none; float64 ``[Q']`` bounds, -inf: complete.
    """
    lengths = prefixes.lengths(queries.log_norms[rows])
    order = np.argsort(lengths, kind="stable")
    lengths, left = lengths[order], queries.vectors[rows[order]]
    best = Running(len(rows), m)
    count = pieces(lengths, dim=queries.dim, m=m)
    for low, high in strips(lengths, int(lengths[-1]), count=count, width=width):
        first = int(np.searchsorted(lengths, low, side="right"))
        strip, ends = prefixes.strip(low, high), lengths[first:]
        best.search(engine, left[first:], strip, start=low, rounding=engine.rounding, first=first, ends=ends)
    return _unsorted(best, order, prefixes)


def hinge_top(
    queries: QueryEmbeddings, rows: I64, prefixes: Prefixes, m: int, engine: Engine, *, lam: float, width: int
) -> tuple[I64, _F64]:
    """About the m best references of each query by ``hinge``, and a bound on the score of every one left out.

    Args and Returns as of :func:`strict_top`; ``lam`` is the weight of the log-norm difference.
    """
    lengths = prefixes.lengths(queries.log_norms[rows])
    order = np.argsort(lengths, kind="stable")
    lengths, norms = lengths[order], queries.log_norms[rows[order]]
    left = np.empty((len(rows), queries.dim + 2), dtype=np.float32)
    left[:, :-2] = queries.vectors[rows[order]]
    best = Running(len(rows), m)
    score = Score("soft", lam)
    cuts = strips(lengths, len(prefixes.log_norms), count=_count(lengths, queries.dim, m), width=width)
    buffer = np.empty((max(high - low for low, high in cuts), queries.dim + 2), dtype=np.float32)
    for low, high in cuts:
        right = encode_rows(prefixes.strip(low, high), prefixes.log_norms[low:high], score, out=buffer)
        _set_tails(left, norms - np.float32(prefixes.tau), lam, above=int(np.searchsorted(lengths, (low + high) / 2)))
        best.search(engine, left, right, start=low, rounding=encoded_rounding(engine, left, right))
    return _unsorted(best, order, prefixes)


def _count(lengths: I64, dim: int, m: int) -> int:
    # Nothing is compared in vain here: wider strips only make the bounds of few queries less tight.
    return max(1, pieces(lengths, dim=dim, m=m) // 2)


def _set_tails(left: F32, norms: F32, lam: float, *, above: int) -> None:
    """The first ``above`` queries admit less than half of a strip: they take it as penalised, the others as free."""
    left[:, -2:] = 0.0
    left[:above, -2], left[:above, -1] = lam, -np.float32(lam) * norms[:above]


def _unsorted(best: Running, order: I64, prefixes: Prefixes) -> tuple[I64, _F64]:
    found, bound = np.empty_like(best.rows), np.empty_like(best.bound)
    found[order], bound[order] = best.rows, best.bound
    return prefixes.original(found), bound
