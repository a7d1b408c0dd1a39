"""The Milvus engine on an embedded milvus-lite file against our own exact search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from asl.index.exact.exact_search import search
from asl.index.exact.recall import measured_recall
from asl.scoring.normalization import ScoreNormalization
from asl.scoring.score import MODES, Score, pair_scores
from asl.types import AslError, Embeddings, ScoredPairs

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


def test_wrong_use_is_refused_with_words(filled) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(AslError, match="made with clip"):
        filled.search(QUERIES.as_queries(), score=Score("soft"))
    with pytest.raises(AslError, match="for 6 dimensions"):
        filled.search(Embeddings.from_features(["a"], [[1.0, 2.0]]).as_queries(), score=Score())
    with pytest.raises(AslError, match="nothing to search"):
        filled.search(QUERIES.as_queries(), score=Score(), k=0)


def test_removed_references_are_gone_and_an_unknown_one_is_named(tmp_path: Path) -> None:
    from asl.index.milvus.collection import MilvusIndex

    index = MilvusIndex(str(tmp_path / "small.db"), dim=6)
    index.add(REFERENCES.take(np.arange(50)).as_references())
    with pytest.raises(AslError, match=r"1 id\(s\) are not in the collection, e\.g\. 'nobody'"):
        index.remove([str(REFERENCES.ids[0]), "nobody"])
    assert len(index) == 50
    index.remove(REFERENCES.ids[:20].tolist())
    left = REFERENCES.take(np.arange(20, 50)).as_references()
    queries, score = QUERIES.as_queries(), Score("hinge", 0.3)
    assert triples(index.search(queries, score=score, k=40)) == triples(
        search(queries, left, score=score, k=40)
    )
    index.close()
    with pytest.raises(AslError, match="holds vectors of 6 dimensions, clip None; asked for 7"):
        MilvusIndex(str(tmp_path / "small.db"), dim=7)


def test_what_was_stored_is_there_again_and_collections_merge(tmp_path: Path) -> None:
    from asl.index.milvus.collection import MilvusIndex, NoCollectionError

    parts = REFERENCES.take(np.arange(60)), REFERENCES.take(np.arange(40, 90))
    for name, part in zip(("one", "two"), parts, strict=True):
        index = MilvusIndex(
            str(tmp_path / f"{name}.db"),
            dim=6,
            clip=CLIP,
            model="m",
            fast_decode=True,
            kind="IVF_FLAT,nlist=8",
        )
        index.add(part.as_references())
        index.close()
    with pytest.raises(AslError, match="another model"):
        MilvusIndex(str(tmp_path / "one.db"), model="n")
    with pytest.raises(
        NoCollectionError, match=r"there is no .*none\.db; make it with asl\.extract"
    ):
        MilvusIndex(str(tmp_path / "none.db"))
    assert not (tmp_path / "none.db").exists(), "a misspelt name leaves no file"
    with pytest.raises(NoCollectionError, match="holds no collection 'others'"):
        MilvusIndex(str(tmp_path / "one.db"), collection="others")
    one, two = MilvusIndex(str(tmp_path / "one.db")), MilvusIndex(str(tmp_path / "two.db"))
    assert (one.clip, one.model, one.fast_decode) == (CLIP, "m", True), "opened without being told"
    assert (str(one.kind), one.kind.exact) == ("IVF_FLAT,nlist=8", False)
    one.merge(two)
    everything = one.references()
    assert everything.ids.tolist() == sorted(REFERENCES.ids[:90].tolist())
    some_ids = REFERENCES.ids[[77, 3]]
    found = one.references(some_ids)
    assert found.ids.tolist() == some_ids.tolist()
    np.testing.assert_array_equal(found.vectors, REFERENCES.vectors[[77, 3]])
    np.testing.assert_array_equal(found.log_norms, REFERENCES.log_norms[[77, 3]])
    with pytest.raises(AslError, match=r"1 id\(s\) are not in the collection, e\.g\. 'nobody'"):
        one.references(["nobody"])
    two.model = "other"
    with pytest.raises(AslError, match="different models"):
        one.merge(two)
    one.close()
    two.close()


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


@pytest.mark.parametrize("clip", [CLIP, None])
def test_a_collection_clips_as_it_was_told_or_as_its_references_say(
    tmp_path: Path, clip: tuple[float, float] | None
) -> None:
    from asl.index.milvus.address import fill_served, open_served
    from asl.scoring.score import usual_clip

    references, address = (
        REFERENCES.take(np.arange(100)).as_references(),
        f"milvus+{tmp_path / 'l.db'}",
    )
    parts = [references.take(rows) for rows in np.split(np.arange(100), [30])]
    assert fill_served(address, parts, model="m", clip=clip) == 100
    index = open_served(address)
    try:
        assert index.clip == pytest.approx(clip or usual_clip(references.log_norms))
        assert index.clip != pytest.approx(usual_clip(references.log_norms) if clip else CLIP)
    finally:
        index.close()


def test_pruned_references_are_gone_and_another_index_type_is_refused(tmp_path: Path) -> None:
    from asl.index.milvus.address import fill_served, open_served

    address, seen = f"milvus+{tmp_path / 'l.db'}", []
    fill_served(address, [REFERENCES.take(np.arange(100))], model="m", kind="HNSW,M=8")
    parts = [REFERENCES.take(np.arange(50, 80)), REFERENCES.take(np.arange(110, 120))]
    gone = {*REFERENCES.ids[:50].tolist(), *REFERENCES.ids[80:100].tolist(), "nobody"}
    count = fill_served(
        address, parts, model="m", without=gone, progress=lambda *state: seen.append(state)
    )
    assert (count, seen) == (40, [(30, 40), (40, 40)])
    index = open_served(address)
    assert index.ids() == sorted(
        [*REFERENCES.ids[50:80].tolist(), *REFERENCES.ids[110:120].tolist()]
    )
    assert str(index.kind) == "HNSW,M=8,efConstruction=200"
    index.close()
    with pytest.raises(
        AslError, match=r"made with milvus_index=HNSW,M=8,.* cannot be changed to HNSW"
    ):
        fill_served(address, parts, model="m", kind="HNSW")
    with pytest.raises(AslError, match="no references to add"):
        fill_served(address, [], model="m")


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
    assert recalls[1] == 1.0 or mode in ("strict", "hinge"), (
        "those look for more in a list of fixed length"
    )
    assert seen == [(128, 150), (150, 150)] * 2
    index.close()
