"""Searches of a collection on a milvus-lite file against our own exact search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from asl.index.exact.exact_search import search
from asl.index.exact.measured_recall import measured_recall
from asl.scoring.normalization import ScoreNormalization
from asl.scoring.score import MODES, Score, pair_scores
from asl.types import Embeddings, ScoredPairs

pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # of its own dependencies

CLIP = (-0.4, 0.5)


def some(count: int, prefix: str, seed: int) -> Embeddings:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 6)) * rng.lognormal(0, 0.5, size=(count, 1))
    return Embeddings.from_features(
        [f'{prefix}/photo {n}\'s \\ "é".jpg' for n in range(count)], features
    )


REFERENCES, QUERIES, BACKGROUND = some(1200, "r", 1), some(150, "q", 2), some(30, "b", 3)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    from asl.index.milvus.collection import MilvusIndex

    index = MilvusIndex(str(tmp_path_factory.mktemp("milvus") / "library.db"), dim=6, clip=CLIP)
    index.add(REFERENCES.take(np.arange(700)).as_references())
    index.add(REFERENCES.take(np.arange(600, 1200)).as_references())
    yield index
    index.close()


def triples(pairs: ScoredPairs) -> list[tuple[str, str, float]]:
    return list(
        zip(
            pairs.query_ids.tolist(),
            pairs.reference_ids.tolist(),
            pairs.scores.tolist(),
            strict=True,
        )
    )


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_the_same_lists_as_in_memory(filled, mode: str, normalised: bool) -> None:  # type: ignore[no-untyped-def]
    assert len(filled) == 1200, "what was added twice is there once"
    rule = ScoreNormalization(1.0, 0, 2) if normalised else None
    score = Score(mode, 0.3, 0.1, CLIP if mode == "soft" else None, rule)  # type: ignore[arg-type]
    background = BACKGROUND.as_background()
    found = filled.search(QUERIES.as_queries(), score=score, k=7, background=background)
    expected = search(
        QUERIES.as_queries(), REFERENCES.as_references(), score=score, k=7, background=background
    )
    assert triples(found) == triples(expected)


def test_a_query_that_admits_nothing_has_no_lines(filled) -> None:  # type: ignore[no-untyped-def]
    giant = Embeddings.from_features(
        ["giant", "plain"], [[1e6] + 5 * [0.0], 6 * [0.1]]
    ).as_queries()
    found = filled.search(giant, score=Score("strict"), k=3)
    assert found.query_ids.tolist() == 3 * ["plain"]


@pytest.mark.parametrize("mode", MODES)
def test_ties_go_by_id_as_in_memory(tmp_path: Path, mode: str) -> None:
    from asl.index.milvus.collection import MilvusIndex

    rng = np.random.default_rng(5)
    corners = rng.integers(0, 2, size=(120, 3)) + np.array(
        [0.5, 0.0, 0.0]
    )  # eight features, each many times
    references = Embeddings.from_features(
        [f"r{n}" for n in rng.permutation(120)], corners
    ).as_references()
    queries = Embeddings.from_features(
        [f"q{n}" for n in range(9)], rng.integers(0, 2, size=(9, 3)) + 0.5
    ).as_queries()
    index = MilvusIndex(str(tmp_path / "ties.db"), dim=3)
    index.add(references)
    score = Score(mode, 0.3)  # type: ignore[arg-type]
    assert triples(index.search(queries, score=score, k=7)) == triples(
        search(queries, references, score=score, k=7)
    )
    index.close()


@pytest.mark.parametrize("mode", MODES)
def test_an_approximate_index_finds_more_where_it_looks_farther(tmp_path: Path, mode: str) -> None:
    from asl.index.milvus.collection import MilvusIndex

    index = MilvusIndex(str(tmp_path / "ivf.db"), dim=6, clip=CLIP, kind="IVF_FLAT,nlist=32")
    index.add(REFERENCES.as_references())
    score = Score(mode, 0.3, 0.1, CLIP if mode == "soft" else None)  # type: ignore[arg-type]
    queries, seen, ids = QUERIES.as_queries(), [], REFERENCES.ids
    order = np.argsort(ids)
    recalls = []
    for nprobe in (1, 32):
        found = index.search(
            queries, score=score, k=5, nprobe=nprobe, progress=lambda *state: seen.append(state)
        )
        rows = {
            "query_index": found.query_index,
            "reference_index": np.searchsorted(ids[order], found.reference_ids),
        }
        exact = pair_scores(queries, REFERENCES.take(order).as_references(), score=score, **rows)
        np.testing.assert_array_equal(found.scores, exact)
        blocks = list(index.blocks())
        recalls.append(measured_recall(found, queries, blocks, score=score, k=5))
    assert sum(len(block) for block in blocks) == 1200
    assert recalls[0] < recalls[1]
    assert recalls[1] == 1.0
    assert seen == [(128, 150), (150, 150)] * 2
    index.close()
