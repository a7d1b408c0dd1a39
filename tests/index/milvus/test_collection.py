"""The Milvus engine on an embedded milvus-lite file against our own exact search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from asl.index.exact.exact_search import search
from asl.scoring.score import Score
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
    with pytest.raises(AslError, match=r"1 id is not in the collection, e\.g\. 'nobody'"):
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
    with pytest.raises(AslError, match=r"was made with .*\(m\), not with .*\(n\)"):
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
    with pytest.raises(AslError, match=r"1 id is not in the collection, e\.g\. 'nobody'"):
        one.references(["nobody"])
    other = MilvusIndex(str(tmp_path / "other.db"), dim=6, clip=CLIP, model="other")
    with pytest.raises(AslError, match=r"different models \(.*\(m\), .*\(other\)\)"):
        one.merge(other)
    other.close()
    one.close()
    two.close()


def test_stamps_of_images_are_kept_and_merged(tmp_path: Path) -> None:
    from asl.index.milvus.collection import MilvusIndex

    one, two = (MilvusIndex(str(tmp_path / f"{name}.db"), dim=6) for name in ("one", "two"))
    part = REFERENCES.take(np.arange(5)).as_references()
    first, second, third = part.ids[:3].tolist()
    one.add(part, stamps={first: "a:1", second: None})
    two.add(part.take([1, 2]), stamps={third: "b:2"})
    assert one.stamps(part.ids) == {first: "a:1"}
    one.merge(two)
    assert one.stamps([first, second, third, "nobody"]) == {first: "a:1", third: "b:2"}
    one.add(part.take([0]), stamps={first: "c:3"})
    assert one.stamps(part.ids)[first] == "c:3", "an image that was embedded again"
    one.close()
    two.close()
