"""The score of an ordered pair query -> reference, in one place.

Write u for the unit direction and n = ln |f| for the log-norm of a feature f (Wang, Sun & Yang, "A Benchmark and
Asymmetrical-Similarity Learning for Practical Image Copy Detection", AAAI 2023, arXiv 2205.12358: content in the
angle, amount of original content in the norm). Higher always means surer; a score may be negative.

==========  =============================================  ==========================================================
mode        s(q -> r)                                      note
==========  =============================================  ==========================================================
``cosine``  u_q . u_r                                      symmetric baseline
``paper``   u_q . u_r                                      pairs with n_q - n_r > tau are deleted from the k nearest
``strict``  u_q . u_r                                      the k best among the references with n_q - n_r <= tau
``soft``    u_q . u_r + lam (n_r - n_q)                    n clipped to a range; an inner product in D + 2 dimensions
``hinge``   u_q . u_r - lam max(0, n_q - n_r - tau)        never above the cosine
==========  =============================================  ==========================================================

Score normalisation subtracts a number per query from any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from asl.types import F32, I64, AslError, BackgroundEmbeddings, QueryEmbeddings, ReferenceEmbeddings

Mode = Literal["cosine", "paper", "strict", "soft", "hinge"]
MODES: tuple[str, ...] = get_args(Mode)
_F64 = npt.NDArray[np.float64]
_BLOCK = 65536
_PAIRS = 128  # pairs that are gathered at once; larger blocks fall out of the cache


@dataclass(frozen=True)
class ScoreNormalization:
    """s' = s - beta * mean of the first..last-th (0-based, inclusive) highest cosines with a background set.

    ``ScoreNormalization(1.0, 0, 2)`` is SSCD's ``1.0[0,2]`` (Pizzi et al., CVPR 2022, eq. 8); ``(2.0, 9, 9)`` the
    ISC 2021 tutorial's; ``(2.0, 0, 9)`` that of D2LV; ``(1.0, 1, 4)`` CopyNCE's. The background must be unrelated
    images, never references: a score must not depend on what else is in the index.

    Attributes:
        beta: weight.
        first: rank of the first neighbour that counts, 0 = nearest.
        last: rank of the last one.
    """

    beta: float = 1.0
    first: int = 0
    last: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last:
            raise AslError(f"normalization: needs 0 <= first <= last, got first={self.first}, last={self.last}")
        if not np.isfinite(self.beta):
            raise AslError(f"normalization.beta: must be finite, got {self.beta}")


@dataclass(frozen=True)
class Score:
    """Which score, and its constants.

    Attributes:
        mode: see the table of this module.
        lam: weight of the log-norm difference (``soft``, ``hinge``).
        tau: log-norm difference that is still free (``paper``, ``strict``, ``hinge``).
        clip: range to which log-norms are clipped in ``soft``, from a calibration set; unbounded norms let it
            prefer any reference with a large norm.
        normalization: score normalisation, where wanted.
    """

    mode: Mode = "hinge"
    lam: float = 0.02
    tau: float = 0.0
    clip: tuple[float, float] | None = None
    normalization: ScoreNormalization | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise AslError(f"score: expected one of {', '.join(MODES)}, got {self.mode!r}")
        if not (np.isfinite(self.lam) and self.lam >= 0 and np.isfinite(self.tau)):
            raise AslError(f"score: lam must be 0 or more and tau finite, got lam={self.lam}, tau={self.tau}")
        if self.clip is not None:
            object.__setattr__(self, "clip", (float(self.clip[0]), float(self.clip[1])))
            if not self.clip[0] <= self.clip[1]:
                raise AslError(f"score.clip: needs low <= high, got {self.clip}")

    def clipped(self, log_norms: F32) -> F32:
        """Log-norms as ``soft`` uses them."""
        if self.clip is None:
            return log_norms
        clipped: F32 = np.clip(log_norms, np.float32(self.clip[0]), np.float32(self.clip[1]))
        return clipped


def admissible(queries: F32, references: F32, *, tau: float = 0.0) -> npt.NDArray[np.bool_]:
    """Whether n_q - n_r <= tau (arrays of log-norms that broadcast), the rule of ``paper`` and ``strict``."""
    difference = queries.astype(np.float64) - references.astype(np.float64)
    allowed: npt.NDArray[np.bool_] = difference <= tau
    return allowed


def pair_cosines(queries: F32, references: F32, query_index: I64, reference_index: I64) -> _F64:
    """``[P]`` cosines of chosen pairs, summed in float64 so that no engine's rounding shows in a result."""
    result = np.empty(len(query_index), dtype=np.float64)
    for start in range(0, len(result), _PAIRS):
        part = slice(start, start + _PAIRS)
        left, right = queries[query_index[part]], references[reference_index[part]]
        result[part] = np.einsum("pd,pd->p", left, right, dtype=np.float64)
    return result


def pair_scores(
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
    *,
    score: Score,
    query_index: I64,
    reference_index: I64,
    background: BackgroundEmbeddings | None = None,
) -> F32:
    """Scores of chosen pairs: what every engine's answer is held equal to.

    Args:
        queries: Q query embeddings.
        references: R reference embeddings.
        score: which score. ``paper`` and ``strict`` give inadmissible pairs -inf.
        query_index: int64 ``[P]`` into the queries.
        reference_index: int64 ``[P]`` into the references.
        background: needed where the score is normalised.

    Returns:
        float32 ``[P]``, higher = surer that the query is a copy of the reference.
    """
    cosines = pair_cosines(queries.vectors, references.vectors, query_index, reference_index)
    values = from_cosines(cosines, queries.log_norms[query_index], references.log_norms[reference_index], score)
    offset = query_offsets(queries, background, score)
    if offset is not None:
        values = values - offset[query_index]
    return values.astype(np.float32)


def from_cosines(cosines: _F64, query_norms: F32, reference_norms: F32, score: Score) -> _F64:
    """Scores before normalisation, from cosines and log-norms of the same pairs (arrays that broadcast)."""
    if score.mode == "cosine":
        return cosines
    if score.mode in ("paper", "strict"):
        return np.where(admissible(query_norms, reference_norms, tau=score.tau), cosines, -np.inf)
    if score.mode == "soft":
        gain = score.clipped(reference_norms).astype(np.float64) - score.clipped(query_norms).astype(np.float64)
        return np.asarray(cosines + score.lam * gain)
    excess = query_norms.astype(np.float64) - reference_norms.astype(np.float64) - score.tau
    return np.asarray(cosines - score.lam * np.maximum(0.0, excess))


def query_offsets(queries: QueryEmbeddings, background: BackgroundEmbeddings | None, score: Score) -> _F64 | None:
    """float64 ``[Q]`` what score normalisation subtracts from every score of a query; None where it is off.

    Raises:
        AslError: the score is normalised and there is no background, or one that is too small or of another D.
    """
    rule = score.normalization
    if rule is None:
        return None
    if background is None:
        raise AslError("normalization: needs background embeddings (training images, never references)")
    if len(background) <= rule.last:
        raise AslError(
            f"normalization: rank {rule.last} needs {rule.last + 1} background images, got {len(background)}"
        )
    if background.dim != queries.dim:
        raise AslError(f"normalization: queries have {queries.dim} dimensions, the background has {background.dim}")
    means = np.empty(len(queries), dtype=np.float64)
    for start in range(0, len(queries), 1024):
        part = queries.vectors[start : start + 1024]
        best = np.full((len(part), rule.last + 1), -np.inf, dtype=np.float32)
        for low in range(0, len(background), _BLOCK):
            cosines = part @ background.vectors[low : low + _BLOCK].T
            joined = np.concatenate([best, cosines], axis=1)
            best = -np.partition(-joined, rule.last, axis=1)[:, : rule.last + 1]
        ordered = -np.sort(-best, axis=1)
        means[start : start + 1024] = ordered[:, rule.first :].mean(axis=1, dtype=np.float64)
    return rule.beta * means


def encode_queries(queries: QueryEmbeddings, score: Score, *, background: BackgroundEmbeddings | None = None) -> F32:
    """Query vectors ``[Q, D + 2]`` whose inner product with :func:`encode_references` is the score.

    ``soft``: [u_q, lam, -lam n_q - offset] . [u_r, n_r, 1]; the offset is that of score normalisation. ``cosine`` is
    the case lam = 0. Any engine that serves inner products serves these.

    Raises:
        AslError: ``hinge``, ``strict`` and ``paper`` are no inner products.
    """
    lam = _weight(score)
    last = -lam * score.clipped(queries.log_norms).astype(np.float64)
    offset = query_offsets(queries, background, score)
    if offset is not None:
        last = last - offset
    ones = np.full(len(queries), lam, dtype=np.float32)
    return np.column_stack([queries.vectors, ones, last.astype(np.float32)])


def encode_references(references: ReferenceEmbeddings, score: Score) -> F32:
    """Reference vectors ``[R, D + 2]``: [u_r, n_r, 1]; see :func:`encode_queries`."""
    return encode_rows(references.vectors, references.log_norms, score)


def encode_rows(vectors: F32, log_norms: F32, score: Score, *, out: F32 | None = None) -> F32:
    """:func:`encode_references` of unit vectors ``[R, D]`` and log-norms ``[R]``, into the first rows of ``out``."""
    _weight(score)
    count, dim = vectors.shape
    encoded = np.empty((count, dim + 2), dtype=np.float32) if out is None else out[:count]
    encoded[:, :dim], encoded[:, dim], encoded[:, dim + 1] = vectors, score.clipped(log_norms), 1.0
    return encoded


def _weight(score: Score) -> float:
    if score.mode == "soft":
        return score.lam
    if score.mode == "cosine":
        return 0.0
    raise AslError(f"score: {score.mode!r} is no inner product; use soft or cosine, or search()")
