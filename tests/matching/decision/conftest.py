"""Labelled evidence with a known rule, and trees fitted on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from asl.matching.decision.fit_trees import fit_trees
from asl.matching.decision.trees import TreeModel
from asl.matching.values import EVIDENCE

F64 = npt.NDArray[np.float64]


def pairs(count: int = 1500) -> tuple[F64, npt.NDArray[np.bool_]]:
    rng = np.random.default_rng(0)
    evidence = rng.normal(size=(count, len(EVIDENCE)))
    odds = (
        evidence[:, EVIDENCE.index("corr_low")]
        - evidence[:, EVIDENCE.index("diffuse")]
        + evidence[:, 1] ** 2
        - 1
    )
    return evidence, odds + rng.normal(0, 0.5, count) > 0


@pytest.fixture(scope="module")
def fitted() -> TreeModel:
    evidence, labels = pairs()
    return fit_trees(
        evidence, labels, trees=30, leaves=10, learning_rate=0.08, card={"note": "a test"}
    )
