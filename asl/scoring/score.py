"""Score of an ordered pair query -> reference.

Write u for the unit direction and n = ln |f| for the log-norm of a feature f (Wang, Sun & Yang, "A
Benchmark and Asymmetrical-Similarity Learning for Practical Image Copy Detection", AAAI 2023, arXiv
2205.12358: content in the angle, amount of original content in the norm). Higher always means
surer; a score may be negative.

==========  ======================================  ==========================================
mode        s(q -> r)                               note
==========  ======================================  ==========================================
``cosine``  u_q . u_r                               symmetric baseline
``paper``   u_q . u_r                               n_q - n_r > tau: deleted from the k nearest
``strict``  u_q . u_r                               the k best among n_q - n_r <= tau
``soft``    u_q . u_r + lam (n_r - n_q)             n clipped; inner product in D + 2 dimensions
``hinge``   u_q . u_r - lam max(0, n_q - n_r - tau)  never above the cosine
==========  ======================================  ==========================================

Score normalisation (:mod:`asl.scoring.normalization`) maps the scores of a query from any of them
to others.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from asl.scoring.normalization import ScoreNormalization, query_maps
from asl.types import (
    F32,
    F64,
    I64,
    AslError,
    BackgroundEmbeddings,
    Bools,
    QueryEmbeddings,
    ReferenceEmbeddings,
    ScoredPairs,
)

Mode = Literal["cosine", "paper", "strict", "soft", "hinge"]
MODES: tuple[str, ...] = get_args(Mode)
# Log-norms of one image differ by some 1e-6 between batches: within this they count as equal.
SAME_NORM = 1e-5
# Difference of log-norms from which nine of ten true pairs are in order with either packaged model
# (docs/results.md, "Direction from norms alone"): one norm is four times the other.
CLEAR_DIFFERENCE = math.log(4)
# Pairs gathered at once: more fall out of the cache, fewer make threads wait for each other.
_PAIRS_PER_BLOCK = 256
_PAIRS_PER_THREAD = 8192  # pairs that a thread of their own is worth


@dataclass(frozen=True)
class Score:
    """Mode of the score, and its constants.

    Attributes:
        mode: see the table of this module.
        lam: λ, weight of the log-norm difference (``soft``, ``hinge``).
        tau: τ, log-norm difference that costs nothing (``paper``, ``strict``, ``hinge``).
        clip: range to which log-norms are clipped in ``soft``, from a calibration set; unbounded
            norms let it prefer any reference with a large norm.
        normalization: score normalisation; None: none.

    >>> Score("hinge", lam=0.1).tau
    0.0
    """

    mode: Mode = "hinge"
    lam: float = 0.1
    tau: float = 0.0
    clip: tuple[float, float] | None = None
    normalization: ScoreNormalization | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise AslError(
                f"score: must be one of {', '.join(MODES)}, got {self.mode!r}; choose one of these"
            )
        if not (np.isfinite(self.lam) and self.lam >= 0 and np.isfinite(self.tau)):
            raise AslError(
                "lam, tau: lam must be 0 or more and tau finite, "
                f"got lam={self.lam}, tau={self.tau}; give other numbers"
            )
        if self.clip is not None:
            object.__setattr__(self, "clip", (float(self.clip[0]), float(self.clip[1])))
            if not self.clip[0] <= self.clip[1]:
                raise AslError(
                    f"clip: must be a range, low <= high, got {self.clip}; give [low, high]"
                )

    def largest(self) -> float:
        """Return a bound that no pair's score exceeds; inf where only the images set one.

        >>> Score("hinge").largest(), Score("soft", lam=0.5, clip=(-1.0, 1.0)).largest()
        (1.0, 2.0)
        """
        if self.normalization is not None or (self.mode == "soft" and self.clip is None):
            return math.inf
        low, high = self.clip if self.mode == "soft" and self.clip else (0.0, 0.0)
        return 1.0 + self.lam * (high - low)

    def clipped(self, log_norms: F32) -> F32:
        """Clip log-norms as ``soft`` does.

        >>> Score("soft", clip=(-1.0, 1.0)).clipped(np.array([3.0, 0.5], np.float32)).tolist()
        [1.0, 0.5]
        """
        if self.clip is None:
            return log_norms
        clipped: F32 = np.clip(log_norms, np.float32(self.clip[0]), np.float32(self.clip[1]))
        return clipped


def usual_clip(log_norms: F32) -> tuple[float, float]:
    """Return the middle 98 % of the references' log-norms: the range of an uncalibrated ``soft``.

    >>> low, high = usual_clip(np.arange(101, dtype=np.float32))
    >>> round(low), round(high)
    (1, 99)
    """
    low, high = np.quantile(log_norms, [0.01, 0.99]).tolist()
    return low, high


def admissible(queries: F32, references: F32, *, tau: float = 0.0) -> Bools:
    """Test n_q - n_r <= tau, the rule of ``paper`` and ``strict``.

    Within ``SAME_NORM``, so that no rounding decides whether an image is a copy of itself.

    Args:
        queries: log-norms of the queries.
        references: log-norms of the references, of a shape that broadcasts.
        tau: log-norm difference that is still admissible.

    >>> small, large = np.float32([0.1]), np.float32([0.7])
    >>> admissible(small, large).tolist(), admissible(large, small).tolist()
    ([True], [False])
    """
    difference = queries.astype(np.float64) - references.astype(np.float64)
    allowed: Bools = difference <= tau + SAME_NORM
    return allowed


def pair_cosines(queries: F32, references: F32, query_index: I64, reference_index: I64) -> F64:
    """Compute the cosines of chosen pairs, summed in float64: no engine's rounding shows.

    Args:
        queries: float32 ``[Q, D]`` unit rows.
        references: float32 ``[R, D]`` unit rows.
        query_index: int64 ``[P]`` into the queries.
        reference_index: int64 ``[P]`` into the references.

    Returns:
        float64 ``[P]``.

    >>> vectors = np.eye(2, dtype=np.float32)
    >>> pair_cosines(vectors, vectors, np.array([0, 0]), np.array([0, 1])).tolist()
    [1.0, 0.0]
    """
    result = np.empty(len(query_index), dtype=np.float64)

    def fill(low: int, high: int) -> None:
        for start in range(low, high, _PAIRS_PER_BLOCK):
            block = slice(start, min(start + _PAIRS_PER_BLOCK, high))
            query_rows = queries[query_index[block]].astype(np.float64)
            reference_rows = references[reference_index[block]].astype(np.float64)
            result[block] = np.vecdot(query_rows, reference_rows)

    threads = min(os.cpu_count() or 1, len(result) // _PAIRS_PER_THREAD)
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
    """Score chosen pairs: the values that every engine's answers must equal.

    Args:
        queries: Q query embeddings.
        references: R reference embeddings.
        score: mode and constants; ``paper`` and ``strict`` give inadmissible pairs -inf.
        query_index: int64 ``[P]`` into the queries.
        reference_index: int64 ``[P]`` into the references.
        background: needed where the score is normalised.

    Returns:
        float32 ``[P]``, higher = surer that the query is a copy of the reference.

    >>> crop = QueryEmbeddings.from_features(["crop"], [[1.0, 0.0]])
    >>> photo = ReferenceEmbeddings.from_features(["photo"], [[np.e, 0.0]])
    >>> first, score = np.array([0]), Score("hinge", lam=0.25)
    >>> pair_scores(crop, photo, score=score, query_index=first, reference_index=first).tolist()
    [1.0]

    In the other direction the norms speak against a copy:

    >>> photo, crop = photo.as_queries(), crop.as_references()
    >>> pair_scores(photo, crop, score=score, query_index=first, reference_index=first).tolist()
    [0.75]
    """
    cosines = pair_cosines(queries.vectors, references.vectors, query_index, reference_index)
    query_norms = queries.log_norms[query_index]
    reference_norms = references.log_norms[reference_index]
    values = from_cosines(cosines, query_norms, reference_norms, score)
    maps = query_maps(queries, background, score.normalization)
    return maps.apply(values, query_index).astype(np.float32)


def describe_pairs(
    pairs: ScoredPairs, queries: QueryEmbeddings, references: ReferenceEmbeddings
) -> dict[str, npt.NDArray[Any]]:
    """Describe pairs beside their score.

    Args:
        pairs: P pairs of these queries and references.
        queries: Q query embeddings.
        references: R reference embeddings.

    Returns:
        Columns ``[P]``: ``cosine``, ``query_log_norm``, ``reference_log_norm`` (float32) and
        ``direction`` (original->copy): of the larger norm to the smaller one where they differ by
        ``CLEAR_DIFFERENCE``, else ``unclear``.

    >>> crop = QueryEmbeddings.from_features(["crop"], [[1.0, 0.0]])
    >>> photo = ReferenceEmbeddings.from_features(["photo"], [[6.0, 0.0]])
    >>> pairs = ScoredPairs.from_ids(["crop"], ["photo"], [0.9])
    >>> describe_pairs(pairs, crop, photo)["direction"].tolist()
    ['reference->query']
    """
    query_norms = queries.log_norms[pairs.query_index]
    reference_norms = references.log_norms[pairs.reference_index]
    cosines = pair_cosines(
        queries.vectors, references.vectors, pairs.query_index, pairs.reference_index
    )
    difference = reference_norms.astype(np.float64) - query_norms.astype(np.float64)
    sides = [difference >= CLEAR_DIFFERENCE, difference <= -CLEAR_DIFFERENCE]
    return {
        "cosine": cosines.astype(np.float32),
        "query_log_norm": query_norms,
        "reference_log_norm": reference_norms,
        "direction": np.select(sides, ["reference->query", "query->reference"], "unclear"),
    }


def from_cosines(cosines: F64, query_norms: F32, reference_norms: F32, score: Score) -> F64:
    """Compute scores before normalisation from cosines and log-norms (arrays that broadcast).

    >>> norms = np.array([0.0], np.float32), np.array([0.5], np.float32)
    >>> from_cosines(np.array([0.75]), *norms, Score("soft", lam=0.5)).tolist()
    [1.0]
    """
    if score.mode == "cosine":
        return cosines
    if score.mode in ("paper", "strict"):
        return np.where(admissible(query_norms, reference_norms, tau=score.tau), cosines, -np.inf)
    if score.mode == "soft":
        clipped_references = score.clipped(reference_norms).astype(np.float64)
        clipped_queries = score.clipped(query_norms).astype(np.float64)
        return np.asarray(cosines + score.lam * (clipped_references - clipped_queries))
    excess = query_norms.astype(np.float64) - reference_norms.astype(np.float64) - score.tau
    return np.asarray(cosines - score.lam * np.maximum(0.0, excess))


def encode_queries(
    queries: QueryEmbeddings, score: Score, *, background: BackgroundEmbeddings | None = None
) -> F32:
    """Encode queries so that the inner product with :func:`encode_references` is the score.

    ``soft``: [g u_q, g lam, -g lam n_q - h] . [u_r, n_r, 1] with the gain g and the offset h of
    score normalisation (1 and 0 without it). ``cosine`` is the case lam = 0. Any engine that serves
    inner products serves these.

    Returns:
        float32 ``[Q, D + 2]``.

    Raises:
        AslError: ``hinge``, ``strict`` and ``paper`` are no inner products.

    >>> query = QueryEmbeddings.from_features(["q"], [[2.0, 0.0]])
    >>> reference = ReferenceEmbeddings.from_features(["r"], [[4.0, 0.0]])
    >>> score = Score("soft", lam=0.5)
    >>> product = encode_queries(query, score) @ encode_references(reference, score).T
    >>> f"{product[0, 0]:.4f} = {1 + 0.5 * np.log(4 / 2):.4f}"
    '1.3466 = 1.3466'
    """
    lam = _norm_weight(score)
    maps = query_maps(queries, background, score.normalization)
    own_terms = -lam * score.clipped(queries.log_norms).astype(np.float64)
    last = maps.apply(own_terms, np.arange(len(queries)))
    gain = maps.gain.astype(np.float32)
    return np.column_stack(
        [gain[:, None] * queries.vectors, np.float32(lam) * gain, last.astype(np.float32)]
    )


def encode_references(references: ReferenceEmbeddings, score: Score) -> F32:
    """Encode references as float32 ``[R, D + 2]``, [u_r, n_r, 1]; see :func:`encode_queries`.

    >>> photo = ReferenceEmbeddings.from_features(["photo"], [[1.0, 0.0]])
    >>> encode_references(photo, Score("soft")).tolist()
    [[1.0, 0.0, 0.0, 1.0]]
    """
    return encode_rows(references.vectors, references.log_norms, score)


def encode_rows(vectors: F32, log_norms: F32, score: Score, *, out: F32 | None = None) -> F32:
    """Encode references given as arrays.

    Args:
        vectors: float32 ``[R, D]`` unit rows.
        log_norms: float32 ``[R]``.
        score: ``soft`` or ``cosine``.
        out: float32 ``[R or more, D + 2]`` buffer; its first R rows are filled and returned.

    >>> encode_rows(np.eye(1, dtype=np.float32), np.float32([0.5]), Score("soft")).tolist()
    [[1.0, 0.5, 1.0]]
    """
    _norm_weight(score)
    count, dim = vectors.shape
    encoded = np.empty((count, dim + 2), dtype=np.float32) if out is None else out[:count]
    encoded[:, :dim] = vectors
    encoded[:, dim] = score.clipped(log_norms)
    encoded[:, dim + 1] = 1.0
    return encoded


def _norm_weight(score: Score) -> float:
    if score.mode == "soft":
        return score.lam
    if score.mode == "cosine":
        return 0.0
    raise AslError(
        f"score: {score.mode!r} is no inner product, so it cannot be encoded; "
        "use soft or cosine, or asl.index.exact.exact_search.search"
    )
