from __future__ import annotations

import numpy as np

from asl.app.library.vectors import VectorCollection


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
