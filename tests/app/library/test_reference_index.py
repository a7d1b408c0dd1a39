"""References of a store as they are searched: candidates of both kinds take turns."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

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


@pytest.mark.skipif(sys.platform == "win32", reason="flock is of Unix")
def test_without_locks_nothing_is_shared_with_another_process(
    embedder: Embedder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two processes that map one file would find each other's images under their own names."""
    import fcntl

    def refuse(file: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    ingestor = Ingestor(embedder)
    store = ingestor.open_store(tmp_path / "library.sqlite")
    sources = [Source(f"n{n}", encode(textured(n)), "") for n in range(COUNT)]
    assert not any(result.failure for result in ingestor.run(sources, store))
    first, second = (
        ReferenceIndex(store, ingestor, regions=0, engine="auto", local_candidates=2)
        for _ in range(2)
    )
    second.remove([f"n{n}" for n in range(1, COUNT)])
    second.close()
    query = Query.from_image(textured(5), ingestor, PairVerifier(store.thumbnail))
    view, rows, _ = first.nearest(query.vectors, local_features(query.prepared), 1)
    assert [view.keys[row] for row in rows][:1] == ["n5"]
    first.close()
    vectors, codes = tmp_path / "library-vectors", tmp_path / "library-local.codes"
    assert not list(vectors.glob("*.vectors")) + list(codes.glob("*.npy"))
    assert [record.getMessage() for record in caplog.records if "locks" in record.message] == [
        f"{vectors}: its file system has no locks; vectors are kept in memory, and read from the "
        "library whenever it is opened",
        f"{codes}: its file system has no locks; local features of new images are kept in memory, "
        "and extracted again the next time",
    ]
