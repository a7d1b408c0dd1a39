from __future__ import annotations

import numpy as np
import pytest

from asl.app.library.vectors import VectorCollection
from asl.index.engines.faiss_flat import FaissFlat
from asl.types import AslError


def test_replacing_the_same_names_for_ever_takes_no_more_room() -> None:
    rng = np.random.default_rng(0)
    collection = VectorCollection(4, engine="exact")
    collection.add(["stays"], np.eye(4, dtype=np.float32)[:1])
    before, rows = collection.view(), 0
    for _ in range(700):
        features = rng.normal(size=(3, 4)).astype(np.float32)
        features[:, 0] = 0  # at a right angle to the one that stays
        collection.add(["a", "b", "c"], features)
        rows = max(rows, len(collection.view().vectors))
    assert len(collection) == len(collection.view()) == 4
    assert rows <= 516, "two buffers and what was added last"
    view, found = collection.nearest(features[:1] / np.linalg.norm(features[0]), 1)
    assert [view.keys[row] for row in found] == ["a"], "the newest features count"
    view, found = collection.nearest(np.eye(4, dtype=np.float32)[:1], 1)
    assert [view.keys[row] for row in found] == ["stays"]
    assert before.keys[0] == "stays"
    assert len(before) == 1, "a view stays as it was"


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = rng.normal(size=shape)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("parts", [0, 3])
@pytest.mark.parametrize("looks", [1, 4])
def test_a_collection_answers_like_brute_force_while_it_changes(parts: int, looks: int) -> None:
    rng = np.random.default_rng(4)
    collection = VectorCollection(8, regions=parts, engine="exact")
    alive: dict[str, np.ndarray] = {}  # [1 + parts, D]: the whole, then its parts
    for step in range(60):
        keys = [f"k{number}" for number in rng.integers(0, 900, 40)]
        keys = list(dict.fromkeys(keys))
        if step % 3 == 2:
            gone = [key for key in keys if key in alive]
            assert collection.remove(keys) == len(gone)
            for key in gone:
                del alive[key]
        else:
            features = unit(rng, len(keys), 1 + parts, 8)
            lengths = rng.uniform(0.5, 2, (len(keys), 1 + parts, 1)).astype(np.float32)
            collection.add(
                keys, (features * lengths)[:, 0], (features * lengths)[:, 1:] if parts else None
            )
            alive.update(zip(keys, features, strict=True))
        assert len(collection) == len(alive)
        query = unit(rng, looks, 8)
        view, rows = collection.nearest(query, 5)
        best = {
            key: max(float((query @ of[0]).max()), float((of @ query[0]).max()))
            for key, of in alive.items()
        }
        assert [view.keys[row] for row in rows] == sorted(best, key=lambda key: -best[key])[:5]


def test_a_crowd_of_parts_of_one_image_hides_no_other() -> None:
    """Every part of one image is nearer than anything of the others."""
    collection = VectorCollection(4, regions=30)
    crowd = np.tile(np.float32([1, 0.01, 0, 0]), (1, 30, 1))
    collection.add(["crowd"], crowd[:, 0], crowd)
    others = np.tile(np.float32([0.5, 0, 1, 0]), (5, 31, 1))
    collection.add([f"o{number}" for number in range(5)], others[:, 0], others[:, 1:])
    view, rows = collection.nearest(np.float32([[1, 0, 0, 0]]), 3)
    assert [view.keys[row] for row in rows] == ["crowd", "o0", "o1"]
    assert len(collection.nearest(np.float32([[1, 0, 0, 0]]), 100)[1]) == 6


def test_parts_must_fit_and_one_without_a_direction_is_nobody_s_neighbour() -> None:
    collection = VectorCollection(4, regions=2)
    with pytest.raises(AslError, match=r"expected \[1, 2, 4\]"):
        collection.add(["a"], np.ones((1, 4), np.float32))
    collection.add(
        ["a"], np.ones((1, 4), np.float32), np.float32([[[0, 0, 0, 0], [np.nan, 1, 1, 1]]])
    )
    assert not collection.view().regions.any()
    assert len(collection) == 1


def test_a_view_stays_as_it_was() -> None:
    collection = VectorCollection(4)
    collection.add(["a", "b"], np.eye(4, dtype=np.float32)[:2])
    view = collection.view()
    collection.remove(["a"])
    collection.add([f"n{number}" for number in range(1000)], np.ones((1000, 4), np.float32))
    collection.remove([f"n{number}" for number in range(900)])
    assert len(view) == 2
    assert view.keys[:2] == ["a", "b"]
    assert np.array_equal(view.vectors, np.eye(4, dtype=np.float32)[:2])


def test_numpy_searches_few_vectors_and_faiss_many(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    collection = VectorCollection(16, regions=2)
    features = rng.normal(size=(300, 3, 16)).astype(np.float32)
    collection.add([str(row) for row in range(300)], features[:, 0], features[:, 1:])
    query = features[7] / np.linalg.norm(features[7], axis=1, keepdims=True)
    _, few = collection.nearest(query, 20)
    asked: list[int] = []
    top = FaissFlat.top
    monkeypatch.setattr(FaissFlat, "top", lambda *words: asked.append(1) or top(*words))
    monkeypatch.setattr("asl.app.library.vectors._FEW", 300 * 16)
    _, many = collection.nearest(query, 20)
    assert len(asked) == 1, "the regions are too many, the whole images are not"
    assert few.tolist() == many.tolist()


def test_rows_of_a_view_are_those_of_its_time() -> None:
    rng = np.random.default_rng(2)
    collection = VectorCollection(4, engine="exact")
    collection.add([f"k{number}" for number in range(600)], unit(rng, 600, 4))
    view = collection.view()
    collection.add(["later", "k7"], unit(rng, 2, 4))
    asked = ["k3", "later", "unknown", "k599"]
    assert collection.rows(view, asked) == [3, 599]
    assert collection.rows(view, ["k7"]) == [], "replaced"
    now = collection.view()
    assert [now.keys[row] for row in collection.rows(now, ["k7", *asked])] == [
        "k7",
        "k3",
        "later",
        "k599",
    ]
    collection.remove([f"k{number}" for number in range(400)])  # compacted
    collection.add(["last"], unit(rng, 1, 4))
    assert collection.view().keys is not view.keys
    assert collection.rows(view, asked) == [3, 599]
    assert len(collection.rows(collection.view(), asked)) == 2
