"""FAISS GPU indexes hold the references: every one crosses the bus once, and results are numpy's.

A stand-in with FAISS's names counts the rows that are sent; its products are numpy's.
"""

from __future__ import annotations

import gc

import numpy as np
import pytest

from asl.index.engines import faiss_flat, faiss_gpu
from asl.index.engines.faiss_flat import FaissFlat
from asl.index.engines.faiss_gpu import block_borders, merge_top
from asl.index.engines.numpy_exact import NumpyExact
from asl.index.exact.exact_search import search
from asl.scoring.score import MODES, Score
from asl.types import Embeddings, QueryEmbeddings, ReferenceEmbeddings
from tests.index.engines.fake_faiss import FakeFaiss


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeFaiss:
    fake = FakeFaiss(2)
    monkeypatch.setattr(faiss_flat, "load_faiss", lambda: fake)
    monkeypatch.setattr(faiss_gpu, "_BLOCK_ROWS", 64)
    return fake


def made(count: int, prefix: str, seed: int) -> Embeddings:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 12)) * rng.lognormal(0, 0.4, size=(count, 1))
    return Embeddings.from_features([f"{prefix}{n}" for n in range(count)], features)


@pytest.fixture(scope="module")
def queries() -> QueryEmbeddings:
    return made(300, "q", 1).as_queries()


def same(
    queries: QueryEmbeddings,
    references: ReferenceEmbeddings,
    engine: FaissFlat,
    score: Score,
    k: int = 7,
) -> None:
    found, expected = (
        search(queries, references, score=score, k=k, engine=tool, memory=2**-12)
        for tool in (engine, "exact")
    )
    assert found.query_index.tolist() == expected.query_index.tolist()
    assert found.reference_index.tolist() == expected.reference_index.tolist()
    assert found.scores.tolist() == expected.scores.tolist()


@pytest.mark.parametrize("is_sorted", [False, True])
def test_each_reference_crosses_the_bus_once(
    fake: FakeFaiss, queries: QueryEmbeddings, is_sorted: bool
) -> None:
    references = made(5000, "r", 2).as_references()
    if is_sorted:
        references = references.take(np.argsort(-references.log_norms, kind="stable"))
    engine = FaissFlat()
    for mode in MODES:
        clip = (-0.5, 0.5) if mode == "soft" else None
        for lam in (0.02, 0.3):
            same(queries, references, engine, Score(mode, lam=lam, clip=clip))  # type: ignore[arg-type]
    assert sum(rows for _, rows in fake.sent) == 5000
    assert len(fake.sent) == 2 * (len(block_borders(5000, devices=2)) - 1)
    on_first = sum(rows for device, rows in fake.sent if device == 0)
    assert on_first == pytest.approx(2500, abs=20), "every GPU holds its share"


def test_regions_are_arrays_of_their_own_and_each_is_sent_once(
    fake: FakeFaiss, queries: QueryEmbeddings
) -> None:
    whole, region = made(600, "r", 3).as_references(), made(600, "r", 4).as_references()
    engine = FaissFlat()
    for _ in range(2):
        for references in (whole, region):
            same(queries, references, engine, Score("hinge", lam=0.1))
    assert sum(rows for _, rows in fake.sent) == 1200


def test_memory_is_given_back(fake: FakeFaiss, queries: QueryEmbeddings) -> None:
    engine = FaissFlat()
    first, second = made(600, "r", 5).as_references(), made(700, "r", 6).as_references()
    for references in (first, second):
        same(queries, references, engine, Score("cosine"))
    del references, first
    gc.collect()
    assert sum(fake.used.values()) == 700, "an array that is gone frees its indexes"
    engine.close()
    gc.collect()
    assert sum(fake.used.values()) == 0


def test_a_full_gpu_frees_the_oldest_array_and_sends_what_fits_nowhere(
    fake: FakeFaiss, queries: QueryEmbeddings
) -> None:
    fake.room = 400
    engine = FaissFlat()
    arrays = [made(count, "r", count).as_references() for count in (600, 700, 1000)]
    for references in arrays[:2]:
        same(queries, references, engine, Score("hinge", lam=0.1))
    assert sum(fake.used.values()) == 700
    fake.sent.clear()
    for mode in ("cosine", "strict", "hinge", "soft"):
        same(queries, arrays[2], engine, Score(mode, lam=0.1))  # type: ignore[arg-type]
    assert sum(rows for _, rows in fake.sent) > 1000, "no room: each search sends what it needs"


def test_lists_longer_than_a_gpu_returns_come_from_the_cpu(
    fake: FakeFaiss, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faiss_gpu, "_BLOCK_ROWS", 8192)  # one block of all
    monkeypatch.setattr(faiss_flat, "_CPU_ROWS", 900)
    references, queries = made(4000, "r", 7).as_references(), made(3, "q", 8).as_queries()
    same(queries, references, FaissFlat(), Score("hinge", lam=0.05), k=3000)
    assert fake.on_cpu >= 4000
    assert sum(rows for _, rows in fake.sent) == 4000


def test_an_array_that_is_held_is_not_sent_by_plain_searches(fake: FakeFaiss) -> None:
    references, queries = made(600, "r", 10).vectors, made(9, "q", 11).vectors
    engine = FaissFlat()
    engine.hold(references)
    fake.sent.clear()
    _, rows = engine.top(queries, references, 5)
    assert not fake.sent
    assert rows.tolist() == NumpyExact().top(queries, references, 5)[1].tolist()
    engine.top(queries, references[:100], 5)
    assert sum(rows for _, rows in fake.sent) == 100, "half a block is sent"


def test_blocks_are_shorter_at_either_end() -> None:
    borders = block_borders(10**6, devices=4)
    widths = np.diff(borders)
    assert borders[0] == 0
    assert borders[-1] == 10**6
    assert len(widths) == 18
    assert widths[0] == widths[-1] == 15625
    assert block_borders(3, devices=8).tolist() == [0, 3]


def test_merged_lists_are_the_best_of_all() -> None:
    rng = np.random.default_rng(9)
    scores = rng.normal(size=(5, 30)).astype(np.float32)
    order = [np.argsort(-scores[:, part], axis=1) for part in (slice(0, 18), slice(18, 30))]
    lists = [
        (np.take_along_axis(scores[:, low : low + 18], rows, axis=1), rows + low)
        for low, rows in zip((0, 18), order, strict=True)
    ]
    best, rows = merge_top(lists, 4)
    assert best.tolist() == (-np.sort(-scores, axis=1)[:, :4]).tolist()
    assert np.take_along_axis(scores, rows, axis=1).tolist() == best.tolist()


@pytest.mark.gpu
@pytest.mark.parametrize("mode", MODES)
def test_on_a_gpu_held_references_give_the_lists_of_numpy(mode: str) -> None:
    engine = FaissFlat()
    if not engine.gpus:
        pytest.skip("this build of FAISS sees no GPU")
    references, queries = made(60_000, "r", 12).as_references(), made(300, "q", 13).as_queries()
    for lam in (0.02, 0.3):
        same(queries, references, engine, Score(mode, lam=lam))  # type: ignore[arg-type]
