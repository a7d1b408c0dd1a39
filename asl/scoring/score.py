"""The score of an ordered pair query -> reference, in one place.

Write u for the unit direction and n = ln |f| for the log-norm of a feature f (Wang, Sun & Yang, "A
Benchmark and Asymmetrical-Similarity Learning for Practical Image Copy Detection", AAAI 2023, arXiv
2205.12358: content in the angle, amount of original content in the norm). Higher always means
surer; a score may be negative.

==========  =============================================
========================================================== mode        s(q -> r)
note ==========  =============================================
========================================================== ``cosine``  u_q . u_r
symmetric baseline ``paper``   u_q . u_r                                      pairs with n_q - n_r >
tau are deleted from the k nearest ``strict``  u_q . u_r                                      the k
best among the references with n_q
- n_r <= tau ``soft``    u_q . u_r + lam (n_r - n_q)                    n clipped to a range; an
inner product in D + 2 dimensions ``hinge``   u_q . u_r - lam max(0, n_q - n_r - tau)        never
above the cosine ==========  =============================================
==========================================================

Score normalisation (:mod:`asl.scoring.normalization`) maps the scores of a query from any of them
to others.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from asl.scoring.normalization import ScoreNormalization, query_maps
from asl.types import (
    F32,
    I64,
    AslError,
    BackgroundEmbeddings,
    QueryEmbeddings,
    ReferenceEmbeddings,
    ScoredPairs,
)

Mode = Literal["cosine", "paper", "strict", "soft", "hinge"]
MODES: tuple[str, ...] = get_args(Mode)
_F64 = npt.NDArray[np.float64]
SAME_NORM = (
    1e-5  # log-norms of one image differ by some 1e-6 between batches: so near, they count as equal
)
# pairs that are gathered at once: more fall out of the cache, fewer make threads wait for each
# other
_PAIRS = 256
_THREADED = 8192  # pairs that a thread of their own is worth


@dataclass(frozen=True)
class Score:
    """Which score, and its constants.

    Attributes:
        mode: see the table of this module.
        lam: weight of the log-norm difference (``soft``, ``hinge``).
        tau: log-norm difference that is still free (``paper``, ``strict``, ``hinge``).
        clip: range to which log-norms are clipped in ``soft``, from a calibration set; unbounded
            norms let it prefer any reference with a large norm.
        normalization: score normalisation, where wanted.
    """

    mode: Mode = "hinge"
    lam: float = 0.1
    tau: float = 0.0
    clip: tuple[float, float] | None = None
    normalization: ScoreNormalization | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise AslError(f"score: expected one of {', '.join(MODES)}, got {self.mode!r}")
        if not (np.isfinite(self.lam) and self.lam >= 0 and np.isfinite(self.tau)):
            raise AslError(
                f"score: lam must be 0 or more and tau finite, got lam={self.lam}, tau={self.tau}"
            )
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


def usual_clip(log_norms: F32) -> tuple[float, float]:
    """The range to which ``soft`` clips log-norms where none was calibrated: the middle 98 % of the references'."""
    low, high = np.quantile(log_norms, [0.01, 0.99]).tolist()
    return low, high


def admissible(queries: F32, references: F32, *, tau: float = 0.0) -> npt.NDArray[np.bool_]:
    """Whether n_q - n_r <= tau (arrays of log-norms that broadcast), the rule of ``paper`` and ``strict``.

    Within ``SAME_NORM``, so that no rounding decides whether an image is a copy of itself.
    """
    difference = queries.astype(np.float64) - references.astype(np.float64)
    allowed: npt.NDArray[np.bool_] = difference <= tau + SAME_NORM
    return allowed


def pair_cosines(queries: F32, references: F32, query_index: I64, reference_index: I64) -> _F64:
    """``[P]`` cosines of chosen pairs, summed in float64 so that no engine's rounding shows in a result."""
    result = np.empty(len(query_index), dtype=np.float64)

    def fill(low: int, high: int) -> None:
        for start in range(low, high, _PAIRS):
            part = slice(start, min(start + _PAIRS, high))
            left, right = queries[query_index[part]], references[reference_index[part]]
            result[part] = np.vecdot(left.astype(np.float64), right.astype(np.float64))

    threads = min(os.cpu_count() or 1, len(result) // _THREADED)
    if threads < 2:
        fill(0, len(result))
        return result
    cuts = np.linspace(0, len(result), threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, cuts[:-1], cuts[1:]))
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
    values = from_cosines(
        cosines, queries.log_norms[query_index], references.log_norms[reference_index], score
    )
    maps = query_maps(queries, background, score.normalization)
    return maps.apply(values, query_index).astype(np.float32)


def describe_pairs(
    pairs: ScoredPairs, queries: QueryEmbeddings, references: ReferenceEmbeddings
) -> dict[str, npt.NDArray[Any]]:
    """What people want to know of a pair beside its score: ``cosine``, both log-norms, ``direction``."""
    query_norms = queries.log_norms[pairs.query_index]
    reference_norms = references.log_norms[pairs.reference_index]
    cosines = pair_cosines(
        queries.vectors, references.vectors, pairs.query_index, pairs.reference_index
    )
    return {
        "cosine": cosines.astype(np.float32),
        "query_log_norm": query_norms,
        "reference_log_norm": reference_norms,
        "direction": np.where(
            admissible(query_norms, reference_norms), "reference->query", "query->reference"
        ),
    }


def from_cosines(cosines: _F64, query_norms: F32, reference_norms: F32, score: Score) -> _F64:
    """Scores before normalisation, from cosines and log-norms of the same pairs (arrays that broadcast)."""
    if score.mode == "cosine":
        return cosines
    if score.mode in ("paper", "strict"):
        return np.where(admissible(query_norms, reference_norms, tau=score.tau), cosines, -np.inf)
    if score.mode == "soft":
        gain = score.clipped(reference_norms).astype(np.float64) - score.clipped(
            query_norms
        ).astype(np.float64)
        return np.asarray(cosines + score.lam * gain)
    excess = query_norms.astype(np.float64) - reference_norms.astype(np.float64) - score.tau
    return np.asarray(cosines - score.lam * np.maximum(0.0, excess))


def encode_queries(
    queries: QueryEmbeddings, score: Score, *, background: BackgroundEmbeddings | None = None
) -> F32:
    """Query vectors ``[Q, D + 2]`` whose inner product with :func:`encode_references` is the score.

    ``soft``: [g u_q, g lam, -g lam n_q - h] . [u_r, n_r, 1] with the gain g and the offset h of
    score normalisation (1 and 0 without it). ``cosine`` is the case lam = 0. Any engine that serves
    inner products serves these.

    Raises:
        AslError: ``hinge``, ``strict`` and ``paper`` are no inner products.
    """
    lam = _weight(score)
    maps = query_maps(queries, background, score.normalization)
    last = maps.apply(
        -lam * score.clipped(queries.log_norms).astype(np.float64), np.arange(len(queries))
    )
    gain = maps.gain.astype(np.float32)
    return np.column_stack(
        [gain[:, None] * queries.vectors, np.float32(lam) * gain, last.astype(np.float32)]
    )


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
