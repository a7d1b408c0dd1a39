"""The tensor-core engine, on the CPU and on a GPU: what it holds and what it finds."""

from __future__ import annotations

import numpy as np
import pytest

from asl.index.engines.by_name import make_engine
from asl.index.engines.numpy_exact import NumpyExact
from asl.index.engines.tensorcore import TensorCore, cuda_devices
from asl.index.exact.exact_search import search
from asl.scoring.score import Score
from asl.types import AslError, Embeddings, ReferenceEmbeddings


def unit(count: int, dim: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("mode", ["cosine", "strict", "soft", "hinge"])
def test_searches_are_the_same_as_in_numpy(mode: str) -> None:
    rng = np.random.default_rng(7)
    sides = [
        Embeddings.from_features([f"{p}{n}" for n in range(c)], rng.normal(size=(c, 12)))
        for p, c in (("q", 50), ("r", 3000))
    ]
    found = [
        search(
            sides[0].as_queries(),
            sides[1].as_references(),
            score=Score(mode, lam=0.2),
            k=7,
            engine=engine,
        )  # type: ignore[arg-type]
        for engine in (NumpyExact(), TensorCore(device="cpu", width=1024))
    ]
    assert found[0].reference_index.tolist() == found[1].reference_index.tolist()
    assert found[0].scores.tolist() == found[1].scores.tolist()


def test_what_is_held_is_sent_once_and_nothing_else_passes_for_it(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    queries, references = unit(30, 16, 20), unit(2500, 16, 21)
    engine, sent = TensorCore(device="cpu", width=512), []
    send = engine._sent
    monkeypatch.setattr(
        engine, "_sent", lambda vectors, *order: sent.append(len(vectors)) or send(vectors, *order)
    )
    others = {
        "all": (references, 0),
        "some": (references[700:1300], 0),
        "the last": (references[-5:], 0),
        "a copy": (references[700:1300].copy(), 1),
        "every second": (np.ascontiguousarray(references[::2]), 1),
        "half of the dimensions": (references.reshape(5000, 8)[:2500], 1),
    }
    for _ in range(2):
        engine.hold(references)
    assert sent == [2500]
    for name, (part, more) in others.items():
        sent.clear()
        left = queries[:, : part.shape[1]].copy()
        scores, rows = engine.top(left, part, 4)
        expected, places = NumpyExact().top(left, part, 4)
        assert np.abs(scores - expected).max() <= 2 * engine.rounding, name
        assert rows.tolist() == places.tolist(), name
        assert len(sent) == more, name
    monkeypatch.setattr(engine, "_room", lambda: 6 * 16 * 2000)
    assert engine.hold(unit(2001, 16, 22)) is None, "no room: each search sends what it needs"
    assert not len(engine._held)


@pytest.mark.parametrize("mode", ["cosine", "strict", "hinge"])
def test_a_sorted_index_is_sent_once(monkeypatch, mode: str) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(23)
    norms = -np.sort(-rng.normal(0, 0.3, 4000)).astype(np.float32)
    references = ReferenceEmbeddings(np.arange(4000).astype(str), unit(4000, 12, 24), norms)
    queries = Embeddings.from_features(
        [f"q{n}" for n in range(300)], rng.normal(size=(300, 12))
    ).as_queries()
    engine, sent = TensorCore(device="cpu", width=1024), []
    send = engine._sent
    monkeypatch.setattr(
        engine, "_sent", lambda vectors, *order: sent.append(len(vectors)) or send(vectors, *order)
    )
    for _ in range(2):
        found = search(
            queries, references, score=Score(mode, lam=0.2), k=7, engine=engine, memory=2**-8
        )  # type: ignore[arg-type]
    assert sent == [4000]
    expected = search(queries, references, score=Score(mode, lam=0.2), k=7, engine="exact")  # type: ignore[arg-type]
    assert found.reference_index.tolist() == expected.reference_index.tolist()
    unsorted = references.take(np.roll(np.arange(4000), 7))
    for _ in range(2):
        search(queries, unsorted, score=Score("strict"), k=7, engine=engine)
    assert sent == [4000, 4000]
    assert len(engine._held) == 2
    del references
    assert len(engine._held) == 1, "what is no longer searched does not stay"


def test_room_on_a_gpu_is_what_is_free_and_what_torch_holds_unused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    engine = TensorCore(device="cpu")
    assert engine._room() == float("inf")
    engine._device = torch.device("cuda")
    for name, value in (
        ("mem_get_info", (500, 1000)),
        ("memory_reserved", 300),
        ("memory_allocated", 100),
    ):
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    assert engine._room() == pytest.approx(0.6 * 700)
    assert engine.hold(unit(10, 8, 1)) is None, "480 bytes are more than that"


def test_without_a_cuda_device_the_engine_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cuda_devices() == 0
    with pytest.raises(AslError, match="torch finds no CUDA device"):
        TensorCore()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert cuda_devices() == 3


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["highest", "high"])
def test_on_a_gpu_lists_are_those_of_numpy(precision: str) -> None:
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(
        precision
    )  # "high" is what a training sets for the whole process
    try:
        _compare_on_a_gpu()
    finally:
        torch.set_float32_matmul_precision(before)


def _compare_on_a_gpu() -> None:
    queries, references = unit(3000, 256, 8), unit(100_000, 256, 9)
    scores, rows = TensorCore().top(queries, references, 10)
    expected, places = NumpyExact().top(queries, references, 10)
    assert np.abs(scores - expected).max() < 1e-5
    assert (rows == places).mean() > 0.999


@pytest.mark.gpu
def test_strict_on_a_gpu_asks_no_selector_of_faiss(record_property) -> None:  # type: ignore[no-untyped-def]
    import faiss

    queries, references = unit(64, 32, 10), unit(20_000, 32, 11)
    index = faiss.GpuIndexFlatIP(faiss.StandardGpuResources(), 32)
    index.add(references)
    _, rows = index.search(
        queries, 5, params=faiss.SearchParameters(sel=faiss.IDSelectorRange(0, 50))
    )
    record_property(
        "GpuIndexFlat obeys an IDSelector", bool((rows < 50).all())
    )  # classic FAISS leaves it out silently
    rng = np.random.default_rng(12)
    sides = [
        Embeddings.from_features(
            [f"{p}{n}" for n in range(len(v))], v * rng.lognormal(0, 0.4, (len(v), 1))
        )
        for p, v in (("q", queries), ("r", references))
    ]
    found = [
        search(
            sides[0].as_queries(),
            sides[1].as_references(),
            score=Score("strict"),
            k=5,
            engine=engine,
        )
        for engine in (make_engine("exact"), make_engine("faiss"))
    ]
    assert found[0].reference_index.tolist() == found[1].reference_index.tolist()
    assert found[0].scores.tolist() == found[1].scores.tolist()
