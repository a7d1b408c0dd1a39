"""References of a store as they are searched: candidates of both kinds take turns."""

from __future__ import annotations

import numpy as np
import pytest

from asl.app.library.ingest import Ingestor
from asl.app.library.records import Source
from asl.app.library.reference_index import ReferenceIndex
from asl.app.pairs.pair_verifier import PairVerifier
from asl.app.query import Query
from asl.matching.candidates.local_features import local_features
from asl.models import Embedder
from tests.app.conftest import encode, textured

COUNT = 8


@pytest.mark.parametrize("local_candidates", [0, 2])
def test_candidates_of_both_kinds_take_turns(embedder: Embedder, local_candidates: int) -> None:
    ingestor = Ingestor(embedder)
    store = ingestor.open_store(None)
    sources = [Source(f"n{n}", encode(textured(n)), f"label {n}") for n in range(COUNT)]
    assert not any(result.failure for result in ingestor.run(sources, store))
    index = ReferenceIndex(
        store, ingestor, regions=0, engine="auto", local_candidates=local_candidates
    )
    assert list(index.names) == [f"n{n}" for n in range(COUNT)]
    part = np.ascontiguousarray(textured(5)[100:200, 130:264])
    query = Query.from_image(part, ingestor, PairVerifier(store.thumbnail))
    features = local_features(query.prepared)

    def names(k: int) -> list[str]:
        view, rows, _ = index.nearest(query.vectors, features, k)
        return [view.keys[row] for row in rows]

    by_vectors = [name for name in names(COUNT) if name != "n5"]
    near = names(2)
    assert len(near) == len(set(near))
    if local_candidates:
        assert by_vectors[0] == near[0], "else this shows nothing"
        assert near[1] == "n5"
        assert 3 <= len(near) <= 4
    else:
        assert len(near) == 2
        assert "n5" not in near
    index.remove(["n5", "nobody"])
    assert "n5" not in names(COUNT)
    assert len(index) == COUNT - 1
    assert index.digest("n5") == ""
    assert index.picture("n5") == b""
    assert index.labelled("LABEL 3") == ["n3"]
    assert [name.name for name, _ in index.describe(["n3", "n5"])] == ["n3"]
