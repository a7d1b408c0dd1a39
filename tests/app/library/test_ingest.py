from __future__ import annotations

from pathlib import Path

import pytest

from asl import CopyDetector
from asl.app.library.image_store import ImageStore
from asl.app.library.ingest import BATCH
from asl.app.library.records import Source
from asl.models import Embedder
from tests.app.conftest import encode, textured


def test_one_content_under_many_names_is_embedded_once(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More names than a batch holds: all were decoded before the first of them was stored."""
    batches: list[int] = []
    detector = CopyDetector(embedder, regions="none")
    runner = detector._ingestor._runner
    embed = runner.embed
    monkeypatch.setattr(
        runner, "embed", lambda images: [batches.append(len(images)), embed(images)][1]
    )
    data = encode(textured(0, 60, 80))
    sources = [Source(f"n{number}", data) for number in range(3 * BATCH)]
    # None is known when it is prepared, as with many threads.
    monkeypatch.setattr(detector.store, "known", lambda digest: False)
    taken = list(detector._ingestor.run(sources, detector.store))
    assert [item.new for item in taken] == [True] + [False] * (3 * BATCH - 1)
    assert sum(batches) == 1
    assert len(detector.store.names()) == 3 * BATCH


def test_a_content_that_went_while_others_were_read_is_read_again(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known when it was prepared, and its last name removed before its batch was stored."""
    detector = CopyDetector(embedder, regions="none")
    known, asked = detector.store.known, iter([True, True])
    monkeypatch.setattr(detector.store, "known", lambda digest: next(asked, None) or known(digest))
    broken = encode(textured(0, 60, 80))[:700]
    added = detector.add_sources([Source("a", encode(textured(1), "PNG")), Source("b", broken)], 2)
    assert added.added == ("a",)
    assert [name for name, _ in added.failures] == ["b"]
    assert detector.query(textured(1))[0].reference == "a"


def test_a_content_comes_with_its_parts_or_not_at_all(
    photos: Path, embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the process ends, what is in the file has its parts."""
    detector = CopyDetector(embedder, folder=tmp_path / "library", local_candidates=0)
    written = ImageStore.put

    def put(store: ImageStore, *arguments: object, **options: object) -> None:
        written(store, *arguments, **options)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(ImageStore, "put", put)
    with pytest.raises(KeyboardInterrupt):
        detector.add(photos)
    monkeypatch.undo()
    assert len(detector) == 0
    assert detector.query(photos / "p1.jpg") == [], (
        "nothing of it is searched before it was acknowledged"
    )
    detector.close()
    with CopyDetector(
        embedder,
        folder=tmp_path / "library",
        local_candidates=0,
        progress=lambda *_: pytest.fail("parts were missing"),
    ) as again:
        assert len(again) == 7


def test_a_name_that_comes_twice_is_one_reference_with_its_last_content(
    embedder: Embedder,
) -> None:
    detector = CopyDetector(embedder, regions="none")
    pictures = [encode(textured(number), "PNG") for number in range(3)]
    detector.add_sources([Source("a", pictures[0])], 1)
    detector.add_sources([Source("a", pictures[1]), Source("a", pictures[2])], 2)
    assert detector.names == ["a"]
    assert len(detector) == 1
    assert [match.reference for match in detector.query(pictures[2], min_probability=0)] == ["a"]
    assert detector.remove("a") == 1
    assert len(detector) == 0
