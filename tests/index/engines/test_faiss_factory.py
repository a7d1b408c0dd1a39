"""Approximate indexes: what they propose is scored exactly, what they lose is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.index.engines.faiss_factory import FaissFactoryIndex
from asl.index.exact.exact_search import search
from asl.index.exact.measured_recall import measured_recall
from asl.index.saved_index import SavedIndex
from asl.scoring.score import MODES, Score, pair_scores
from asl.types import AslError, Embeddings, QueryEmbeddings, ReferenceEmbeddings, UsageError

RNG = np.random.default_rng(0)


def some(count: int, prefix: str) -> Embeddings:
    # Groups of neighbours, as real features have: an inverted file makes no sense without them.
    centres = np.random.default_rng(1).normal(size=(40, 32))
    features = centres[RNG.integers(40, size=count)] + 0.6 * RNG.normal(size=(count, 32))
    return Embeddings.from_features(
        [f"{prefix}{n:04d}" for n in range(count)], features * RNG.uniform(0.5, 2, (count, 1))
    )


@pytest.fixture(scope="module")
def sides() -> tuple[QueryEmbeddings, ReferenceEmbeddings]:
    return some(200, "q").as_queries(), some(3000, "r").as_references()


@pytest.mark.parametrize("spec", ["IVF32,Flat", "IVF32,SQ8", "HNSW16", "PCA16,IVF16,Flat"])
@pytest.mark.parametrize("mode", MODES)
def test_scores_are_exact_and_most_pairs_are_found(sides, spec: str, mode: str) -> None:
    queries, references = sides
    score = Score(mode, lam=0.05)  # type: ignore[arg-type]
    found = search(queries, references, score=score, k=5, engine=FaissFactoryIndex(spec, nprobe=16))
    rows = {"query_index": found.query_index, "reference_index": found.reference_index}
    np.testing.assert_array_equal(
        found.scores, pair_scores(queries, references, score=score, **rows)
    )
    if mode != "strict":  # what a filter leaves of a list that was fetched by cosine is fewer
        assert measured_recall(found, queries, [references], score=score, k=5) > 0.85


def test_a_built_index_is_kept_and_belongs_to_its_references(
    sides, tmp_path: Path, monkeypatch
) -> None:
    queries, references = sides
    index = SavedIndex.create(tmp_path / "index", references)
    kept = index.companion("IVF32,Flat")
    stored = index.references()
    first = search(
        queries,
        stored,
        score=Score("cosine"),
        k=3,
        engine=FaissFactoryIndex("IVF32,Flat", cache=kept),
    )
    assert kept.exists()
    monkeypatch.setattr(FaissFactoryIndex, "_built", lambda *_: pytest.fail("built again"))
    again = search(
        queries,
        stored,
        score=Score("cosine"),
        k=3,
        engine=FaissFactoryIndex("IVF32,Flat", cache=kept),
    )
    assert again.reference_ids.tolist() == first.reference_ids.tolist()
    content = kept.read_bytes()
    kept.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(AslError, match=r"IVF32_Flat\.faiss: damaged .*; remove it"):
        FaissFactoryIndex("IVF32,Flat", cache=kept).top(queries.vectors, stored.vectors, 3)
    smaller = index.remove(references.ids[:10])
    assert not kept.exists(), "an index of references that are gone would propose them"
    kept.write_bytes(b"")
    with pytest.raises(
        AslError, match=r"IVF32_Flat\.faiss: is no FAISS index, or damaged; remove it"
    ):
        search(
            queries,
            smaller.references(),
            score=Score("cosine"),
            k=3,
            engine=FaissFactoryIndex("IVF32,Flat", cache=kept),
        )


def test_what_faiss_does_not_know_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"cannot build 'IFV32,Flat' \(could not parse index string"
    ):
        FaissFactoryIndex("IFV32,Flat")
    with pytest.raises(UsageError, match="nprobe"):
        FaissFactoryIndex("Flat", nprobe=0)
    FaissFactoryIndex("IVF64,PQ80")  # fits 1,280 dimensions, if not every other
    with pytest.raises(AslError, match="cannot hold 3,000 vectors"):
        search(
            some(3, "q").as_queries(),
            some(3000, "r").as_references(),
            score=Score("cosine"),
            k=2,
            engine=FaissFactoryIndex("IVF8,PQ80"),
        )
    few = some(10, "r").as_references()
    with pytest.raises(AslError, match="cannot hold 10 vectors"):
        search(
            some(3, "q").as_queries(),
            few,
            score=Score("cosine"),
            k=2,
            engine=FaissFactoryIndex("IVF64,Flat"),
        )


def test_lists_wider_than_a_gpu_can_return_are_filled_up(sides, monkeypatch) -> None:
    queries, references = sides
    engine = FaissFactoryIndex("Flat")
    engine.top(queries.vectors, references.vectors, 10)
    whole, places = engine.top(queries.vectors, references.vectors, 40)
    engine._on_gpu = True
    monkeypatch.setattr("asl.index.engines.faiss_factory.LONGEST_GPU_LIST", 25)
    scores, rows = engine.top(queries.vectors, references.vectors, 40)
    np.testing.assert_array_equal(rows[:, :25], places[:, :25])
    np.testing.assert_array_equal(scores[:, :25], whole[:, :25])
    assert (rows[:, 25:] == -1).all()
    assert np.isneginf(scores[:, 25:]).all()


def test_a_folder_whose_name_is_not_utf8_is_named(
    sides: tuple[QueryEmbeddings, ReferenceEmbeddings],
) -> None:
    queries, references = sides
    engine = FaissFactoryIndex("HNSW4", cache=Path("a\udcff/x.faiss"))
    with pytest.raises(AslError, match="not UTF-8; rename the folder"):
        engine.top(queries.vectors, references.vectors, 1)
