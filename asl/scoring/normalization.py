"""Score normalisation: lower the scores of queries that resemble a background of unrelated images.

One affine map per query. The background must be unrelated images (training images), never
references: a score must not depend on the other references of an index. The ranking of a single
query does not change; the ranking over all queries does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from asl.shared_defaults import SN_FIRST, SN_LAST, SN_WEIGHT
from asl.types import F64, I64, AslError, BackgroundEmbeddings, QueryEmbeddings, UsageError

Kind = Literal["subtract", "stretch"]
KINDS: tuple[str, ...] = get_args(Kind)
_QUERY_BLOCK = 1024
_BACKGROUND_BLOCK = 65536
_LEAST_STRETCH = 1e-3  # a query unlike the whole background keeps the order of its references


@dataclass(frozen=True)
class ScoreNormalization:
    """Map from a score s to s', with m the mean of the query's first..last highest cosines.

    ``subtract``: s' = s - beta m. ``ScoreNormalization(1.0, 0, 2)`` is SSCD's ``1.0[0,2]`` (Pizzi
    et al., CVPR 2022, eq. 8); ``(2.0, 9, 9)`` the ISC 2021 tutorial's; ``(2.0, 0, 9)`` that of
    D2LV; ``(1.0, 1, 4)`` CopyNCE's.

    ``stretch``: s' = 2 t s - t^2 - 1 with t = beta m, which is -|t u_q - u_r|^2 where s is the
    cosine: descriptor stretching, ``(2.5, 0, 4, "stretch")`` in Bag of Tricks (arXiv 2111.07090),
    made for systems that rank by L2.

    Attributes:
        beta: weight (``sn_weight`` on the command line).
        first: rank of the first background neighbour that counts, 0 = nearest (``sn_first``).
        last: rank of the last one, inclusive (``sn_last``).
        kind: ``subtract`` or ``stretch``.
    """

    beta: float = SN_WEIGHT
    first: int = SN_FIRST
    last: int = SN_LAST
    kind: Kind = "subtract"

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last:
            raise AslError(
                "sn_first, sn_last: must satisfy 0 <= first <= last, "
                f"got first={self.first}, last={self.last}; ranks count from 0"
            )
        if not np.isfinite(self.beta):
            raise AslError(f"sn_weight: must be finite, got {self.beta}; 1.0 is usual")
        if self.kind not in KINDS:
            raise AslError(
                f"normalize: must be {' or '.join(KINDS)}, got {self.kind!r}; choose one of these"
            )
        if self.kind == "stretch" and self.beta <= 0:
            raise AslError(
                f"sn_weight: stretching needs more than 0, got {self.beta}; 2.5 is usual"
            )


def normalization_of(kind: str, *, beta: float, first: int, last: int) -> ScoreNormalization | None:
    """Build the rule from its configuration keys; None where ``kind`` is ``none``.

    Args:
        kind: ``none``, ``subtract`` or ``stretch`` (``normalize``).
        beta: weight (``sn_weight``).
        first: rank of the first background neighbour that counts (``sn_first``).
        last: rank of the last one, inclusive (``sn_last``).

    Raises:
        UsageError: a value is out of range.

    >>> normalization_of("none", beta=1.0, first=0, last=2)
    >>> normalization_of("subtract", beta=1.0, first=0, last=2).last
    2
    """
    if kind == "none":
        return None
    if kind not in KINDS:
        raise UsageError(
            f"normalize: expected none, {' or '.join(KINDS)}, got {kind!r}; choose one of these"
        )
    try:
        return ScoreNormalization(beta, first, last, kind)  # type: ignore[arg-type]
    except AslError as error:
        raise UsageError(str(error)) from error


@dataclass(frozen=True, eq=False)
class QueryMaps:
    """Affine map s -> gain * s - offset of each query; gains are above 0.

    Attributes:
        gain: float64 ``[Q]``.
        offset: float64 ``[Q]``.
    """

    gain: F64
    offset: F64

    def apply(self, scores: F64, rows: I64 | int) -> F64:
        """Normalise scores.

        Args:
            scores: float64 ``[P]`` or ``[P, n]``.
            rows: int64 ``[P]`` query of each score, or of each row of scores.

        >>> maps = QueryMaps(np.ones(2), np.array([0.25, 0.5]))
        >>> maps.apply(np.array([0.75, 0.75]), np.array([0, 1])).tolist()
        [0.5, 0.25]
        """
        gain, offset = self.gain[rows], self.offset[rows]
        if scores.ndim == 2:
            gain, offset = gain[:, None], offset[:, None]
        return np.asarray(gain * scores - offset)


def query_maps(
    queries: QueryEmbeddings,
    background: BackgroundEmbeddings | None,
    rule: ScoreNormalization | None,
) -> QueryMaps:
    """Compute the map of each query; the identity without a rule.

    Args:
        queries: Q queries.
        background: unrelated images, at least ``rule.last + 1``; never references.
        rule: the normalisation; None: scores stay.

    Raises:
        AslError: there is a rule and no background, or it is too small or of another dimension.

    >>> queries = QueryEmbeddings.from_features(["q"], [[1.0, 0.0]])
    >>> background = BackgroundEmbeddings.from_features(["b"], [[3.0, 4.0]])
    >>> rule = ScoreNormalization(beta=1.0, first=0, last=0)
    >>> query_maps(queries, background, rule).offset.round(3).tolist()
    [0.6]
    """
    if rule is None:
        return QueryMaps(np.ones(len(queries)), np.zeros(len(queries)))
    if background is None:
        raise AslError(
            "background: score normalisation needs background embeddings, got none; "
            "give training images (never references), or normalize=none"
        )
    if len(background) <= rule.last:
        raise AslError(
            f"background: rank {rule.last} (sn_last) needs {rule.last + 1} background images, "
            f"got {len(background)}; use a larger background or a smaller sn_last"
        )
    if background.dim != queries.dim:
        raise AslError(
            "background: must have the queries' dimensions: "
            f"queries have {queries.dim}, the background has {background.dim}; "
            "embed both with the same model"
        )
    cosines = _nearest_cosines(queries, background, rule.last + 1)
    weighted = rule.beta * cosines[:, rule.first :].mean(axis=1)
    if rule.kind == "subtract":
        return QueryMaps(np.ones(len(queries)), weighted)
    weighted = np.maximum(weighted, _LEAST_STRETCH)
    return QueryMaps(2.0 * weighted, weighted**2 + 1.0)


def _nearest_cosines(queries: QueryEmbeddings, background: BackgroundEmbeddings, count: int) -> F64:
    """Return float64 ``[Q, count]`` cosines of the nearest background images, descending."""
    nearest = np.empty((len(queries), count), dtype=np.float64)
    for start in range(0, len(queries), _QUERY_BLOCK):
        block = queries.vectors[start : start + _QUERY_BLOCK]
        best = np.full((len(block), count), -np.inf, dtype=np.float32)
        for low in range(0, len(background), _BACKGROUND_BLOCK):
            cosines = block @ background.vectors[low : low + _BACKGROUND_BLOCK].T
            candidates = np.concatenate([best, cosines], axis=1)
            best = -np.partition(-candidates, count - 1, axis=1)[:, :count]
        nearest[start : start + _QUERY_BLOCK] = -np.sort(-best, axis=1)
    return nearest
