"""Gains are what scores add to cosines, and never rise with the row of a reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asl.index.engines.cpu_bfloat16 import CpuBfloat16
from asl.index.engines.norm_gain import NormGain, ScoringEngine
from asl.index.engines.numpy_exact import NumpyExact
from asl.scoring.score import SAME_NORM, Score, from_cosines

RNG = np.random.default_rng(5)
QUERIES = RNG.normal(size=30).astype(np.float32)
REFERENCES = -np.sort(-RNG.normal(size=50).astype(np.float32))
QUERIES[:10] = REFERENCES[:10] + np.float32(SAME_NORM) * RNG.normal(size=10).astype(np.float32)

SCORES = [
    Score("strict"),
    Score("strict", tau=0.3),
    Score("soft", lam=0.4),
    Score("soft", lam=0.4, clip=(-0.5, 0.2)),
    Score("hinge", lam=0.7, tau=-0.2),
]


@pytest.mark.parametrize("score", SCORES, ids=str)
def test_gains_are_scores_minus_cosines(score: Score) -> None:
    gain = NormGain(score, QUERIES, REFERENCES, None)
    found = gain.on_tensors()(torch.arange(30)[:, None], torch.arange(50)).numpy()
    expected = from_cosines(np.zeros(1), QUERIES[:, None], REFERENCES[None, :], score)
    assert found.dtype == np.float64
    assert np.array_equal(np.isneginf(found), np.isneginf(np.broadcast_to(expected, (30, 50))))
    assert np.allclose(found, expected, rtol=0.0, atol=1e-12)
    assert bool((found[:, :-1] >= found[:, 1:]).all())
    assert np.abs(found[np.isfinite(found)]).max() <= gain.largest() + 1e-6


def test_only_engines_that_rank_by_scores_say_so() -> None:
    assert isinstance(CpuBfloat16(), ScoringEngine)
    assert not isinstance(NumpyExact(), ScoringEngine)
