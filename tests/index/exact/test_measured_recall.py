"""Measured recall: the share of the exact lists, however the references come."""

from __future__ import annotations

import numpy as np
import pytest

from asl.index.engines.faiss_factory import FaissFactoryIndex
from asl.index.exact.exact_search import search
from asl.index.exact.measured_recall import measured_recall
from asl.scoring.normalization import ScoreNormalization
from asl.scoring.score import MODES, Score
from asl.types import Embeddings


def some(count: int, prefix: str, seed: int) -> Embeddings:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 12)) * rng.lognormal(0, 0.4, size=(count, 1))
    return Embeddings.from_features([f"{prefix}{n}" for n in range(count)], features)


QUERIES, REFERENCES, BACKGROUND = (
    some(150, "q", 1).as_queries(),
    some(2000, "r", 2),
    some(40, "b", 3).as_background(),
)
BLOCKS = [
    REFERENCES.take(rows).as_references() for rows in np.split(np.arange(2000), [3, 900, 1400])
]
WHOLE = [REFERENCES.as_references()]


def test_it_is_the_share_of_the_exact_list() -> None:
    score = Score("cosine")
    exact = search(QUERIES, WHOLE[0], score=score, k=4)
    assert measured_recall(exact, QUERIES, WHOLE, score=score, k=4, sample=17) == 1.0
    first = exact.take(np.arange(0, len(exact), 2))  # every query's first and third
    assert measured_recall(first, QUERIES, WHOLE, score=score, k=4, sample=200) == 0.5
    few = search(
        QUERIES, WHOLE[0], score=score, k=4, engine=FaissFactoryIndex("IVF64,Flat", nprobe=1)
    )
    many = search(
        QUERIES, WHOLE[0], score=score, k=4, engine=FaissFactoryIndex("IVF64,Flat", nprobe=64)
    )
    recalls = [measured_recall(found, QUERIES, WHOLE, score=score, k=4) for found in (few, many)]
    assert recalls[0] < recalls[1] == 1.0


@pytest.mark.parametrize("mode", MODES)
def test_blocks_of_references_are_the_whole(mode: str) -> None:
    score = Score(mode, 0.2, normalization=ScoreNormalization(1.0, 0, 2))  # type: ignore[arg-type]
    exact = search(QUERIES, WHOLE[0], score=score, k=7, background=BACKGROUND)
    kept = exact.take(np.flatnonzero(np.arange(len(exact)) % 3 > 0))
    for found, expected in ((exact, 1.0), (kept, len(kept) / len(exact))):
        how = {"score": score, "k": 7, "background": BACKGROUND, "sample": 150}
        assert measured_recall(found, QUERIES, BLOCKS, **how) == pytest.approx(expected)  # type: ignore[arg-type]
        assert measured_recall(found, QUERIES, WHOLE, **how) == pytest.approx(expected)  # type: ignore[arg-type]


def test_where_there_is_nothing_to_find_nothing_is_missed() -> None:
    score = Score("strict", tau=-50.0)
    nothing = search(QUERIES, WHOLE[0], score=score, k=3)
    assert len(nothing) == 0
    assert measured_recall(nothing, QUERIES, WHOLE, score=score, k=3) == 1.0
