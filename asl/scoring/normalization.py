"""Score normalisation: what is similar to everything is believed less. One affine map per query, from a background.

The background must be unrelated images (training images), never references: a score must not depend
on what else is in the index. Rankings of a single query do not change; the ranking over all queries
does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from asl.types import AslError, BackgroundEmbeddings, QueryEmbeddings, UsageError

Kind = Literal["subtract", "stretch"]
KINDS: tuple[str, ...] = get_args(Kind)
_F64 = npt.NDArray[np.float64]
_BLOCK = 65536
_LEAST = 1e-3  # a query that is like no background image at all keeps the order of its references


@dataclass(frozen=True)
class ScoreNormalization:
    """How a score s of a query becomes s', with m the mean of its ``first``..``last``-th highest background cosines.

    ``subtract``: s' = s - beta m. ``ScoreNormalization(1.0, 0, 2)`` is SSCD's ``1.0[0,2]`` (Pizzi
    et al., CVPR 2022, eq. 8); ``(2.0, 9, 9)`` the ISC 2021 tutorial's; ``(2.0, 0, 9)`` that of
    D2LV; ``(1.0, 1, 4)`` CopyNCE's.

    ``stretch``: s' = 2 t s - t^2 - 1 with t = beta m, which is -|t u_q - u_r|^2 where s is the
    cosine: descriptor stretching, ``(2.5, 0, 4, "stretch")`` in Bag of Tricks (arXiv 2111.07090),
    made for systems that rank by L2.

    Attributes:
        beta: weight.
        first: rank of the first neighbour that counts, 0 = nearest.
        last: rank of the last one, inclusive.
        kind: ``subtract`` or ``stretch``.
    """

    beta: float = 1.0
    first: int = 0
    last: int = 2
    kind: Kind = "subtract"

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last:
            raise AslError(
                f"normalization: needs 0 <= first <= last, got first={self.first}, last={self.last}"
            )
        if not np.isfinite(self.beta):
            raise AslError(f"normalization.beta: must be finite, got {self.beta}")
        if self.kind not in KINDS:
            raise AslError(f"normalization.kind: expected {' or '.join(KINDS)}, got {self.kind!r}")
        if self.kind == "stretch" and self.beta <= 0:
            raise AslError(f"normalization.beta: stretching needs more than 0, got {self.beta}")


def normalization_of(kind: str, *, beta: float, first: int, last: int) -> ScoreNormalization | None:
    """The rule of four configuration keys; None where ``kind`` is ``none``.

    Raises:
        UsageError: a value that makes no sense.
    """
    if kind == "none":
        return None
    if kind not in KINDS:
        raise UsageError(f"normalize: expected none, {' or '.join(KINDS)}, got {kind!r}")
    try:
        return ScoreNormalization(beta, first, last, kind)  # type: ignore[arg-type]
    except AslError as error:
        raise UsageError(str(error)) from error


@dataclass(frozen=True, eq=False)
class QueryMaps:
    """s -> gain * s - offset, one map per query; gains are above 0.

    Attributes:
        gain: float64 ``[Q]``.
        offset: float64 ``[Q]``.
    """

    gain: _F64
    offset: _F64

    def apply(self, scores: _F64, rows: npt.NDArray[np.int64] | int) -> _F64:
        """Normalised scores ``[P]`` (or ``[P, n]``) of the queries ``rows`` ``[P]``."""
        gain, offset = self.gain[rows], self.offset[rows]
        if scores.ndim == 2:
            gain, offset = gain[:, None], offset[:, None]
        return np.asarray(gain * scores - offset)


def query_maps(
    queries: QueryEmbeddings,
    background: BackgroundEmbeddings | None,
    rule: ScoreNormalization | None,
) -> QueryMaps:
    """What score normalisation does to the scores of each query; nothing without a rule.

    Raises:
        AslError: there is a rule and no background, or one that is too small or of another
            dimension.
    """
    if rule is None:
        return QueryMaps(np.ones(len(queries)), np.zeros(len(queries)))
    if background is None:
        raise AslError(
            "normalization: needs background embeddings (training images, never references)"
        )
    if len(background) <= rule.last:
        raise AslError(
            f"normalization: rank {rule.last} needs {rule.last + 1} background images, got {len(background)}"
        )
    if background.dim != queries.dim:
        raise AslError(
            f"normalization: queries have {queries.dim} dimensions, the background has {background.dim}"
        )
    weighed = rule.beta * _nearest_cosines(queries, background, rule.last + 1)[
        :, rule.first :
    ].mean(axis=1)
    if rule.kind == "subtract":
        return QueryMaps(np.ones(len(queries)), weighed)
    weighed = np.maximum(weighed, _LEAST)
    return QueryMaps(2.0 * weighed, weighed**2 + 1.0)


def _nearest_cosines(
    queries: QueryEmbeddings, background: BackgroundEmbeddings, count: int
) -> _F64:
    """float64 ``[Q, count]`` cosines of the nearest background images, falling."""
    nearest = np.empty((len(queries), count), dtype=np.float64)
    for start in range(0, len(queries), 1024):
        part = queries.vectors[start : start + 1024]
        best = np.full((len(part), count), -np.inf, dtype=np.float32)
        for low in range(0, len(background), _BLOCK):
            joined = np.concatenate([best, part @ background.vectors[low : low + _BLOCK].T], axis=1)
            best = -np.partition(-joined, count - 1, axis=1)[:, :count]
        nearest[start : start + 1024] = -np.sort(-best, axis=1)
    return nearest
