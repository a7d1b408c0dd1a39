"""Lists from strips are those of brute force, and their bound covers every pair left out."""

from __future__ import annotations

import numpy as np
import pytest

from asl.index.engines.numpy_exact import NumpyExact
from asl.index.exact.norm_sorted import NormSortedReferences
from asl.index.exact.strip_search import encoding_pays, nearest_top, penalised_top
from asl.scoring.score import Score, admissible, from_cosines
from asl.types import Embeddings


def some(count: int, prefix: str, seed: int) -> Embeddings:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 8)) * rng.lognormal(0, 0.5, size=(count, 1))
    return Embeddings.from_features([f"{prefix}{n}" for n in range(count)], features)


QUERIES, REFERENCES = some(40, "q", 1).as_queries(), some(2000, "r", 2).as_references()
COSINES = QUERIES.vectors.astype(np.float64) @ REFERENCES.vectors.astype(np.float64).T
M = 12


def check(best, scores: np.ndarray, references: NormSortedReferences, k: int) -> None:  # type: ignore[no-untyped-def]
    """Certified lists hold the k best; every other score is within the bound."""
    rows = references.original(best.rows)
    for query in range(len(scores)):
        kept = rows[query][rows[query] >= 0]
        others = np.delete(scores[query], kept)
        assert others.max(initial=-np.inf) <= best.bound[query] + 1e-6
        kth_best = np.sort(scores[query][kept])[::-1][:k]
        if len(kth_best) == k and kth_best[-1] > best.bound[query] + 1e-5:
            assert set(np.argsort(-scores[query])[:k]) <= set(kept.tolist())


@pytest.mark.parametrize("width", [64, 700, 10_000])
@pytest.mark.parametrize("mode", ["soft", "hinge"])
@pytest.mark.parametrize("lam", [0.0, 0.05, 2.0])
def test_penalised_lists_are_those_of_brute_force(mode: str, lam: float, width: int) -> None:
    score = Score(mode, lam=lam, clip=(-0.5, 0.9) if mode == "soft" else None)  # type: ignore[arg-type]
    references = NormSortedReferences.of(REFERENCES, tau=0.0)
    rows, k = np.arange(len(QUERIES)), np.full(len(QUERIES), 5)
    best = penalised_top(QUERIES, rows, references, M, NumpyExact(), score=score, k=k, width=width)
    norms = QUERIES.log_norms[:, None], REFERENCES.log_norms[None, :]
    check(best, from_cosines(COSINES, *norms, score), references, 5)


@pytest.mark.parametrize("width", [64, 10_000])
def test_strict_lists_hold_admissible_references_only(width: int) -> None:
    references = NormSortedReferences.of(REFERENCES, tau=0.0)
    rows = np.argsort(references.lengths(QUERIES.log_norms), kind="stable")
    lengths = references.lengths(QUERIES.log_norms[rows])
    vectors = QUERIES.vectors[rows]
    best = nearest_top(vectors, lengths, references, M, NumpyExact(), width=width)
    allowed = admissible(QUERIES.log_norms[rows][:, None], REFERENCES.log_norms[None, :])
    original = references.original(best.rows)
    for place in range(len(rows)):
        kept = original[place][(original[place] >= 0) & np.isfinite(best.scores[place])]
        assert allowed[place][kept].all()
    check(best, np.where(allowed, COSINES[rows], -np.inf), references, 5)


def test_nearest_lists_of_whole_prefixes_are_plain_neighbours() -> None:
    references = NormSortedReferences.of(REFERENCES, tau=0.0)
    lengths = np.full(len(QUERIES), len(REFERENCES))
    best = nearest_top(QUERIES.vectors, lengths, references, M, NumpyExact(), width=300)
    expected = np.argsort(-COSINES, axis=1)[:, :M]
    assert np.sort(references.original(best.rows), axis=1).tolist() == (
        np.sort(expected, axis=1).tolist()
    )


def test_encoding_pays_for_many_queries_and_never_for_held_references() -> None:
    score = Score("soft", lam=0.05, clip=(-0.9, 0.9))
    big = some(5000, "r", 3).as_references()
    assert encoding_pays(100_000, NormSortedReferences.of(big, tau=0.0), 14, score)

    class Device(NumpyExact):
        on_device = True

        def hold(self, references, order=None):  # type: ignore[no-untyped-def]
            return object()

    held = NormSortedReferences.of(big, tau=0.0, engine=Device())
    assert not encoding_pays(100_000, held, 14, score)
