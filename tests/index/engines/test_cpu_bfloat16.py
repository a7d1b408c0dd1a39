"""The bfloat16 engine finds what FAISS finds, in place; small searches are FAISS's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asl.index.engines import cpu_bfloat16
from asl.index.engines.cpu_bfloat16 import CpuBfloat16, multiplies_bfloat16
from asl.index.engines.faiss_flat import FaissFlat
from asl.index.engines.half_products import HalfProducts
from asl.index.exact.exact_search import search
from asl.scoring.score import Score
from asl.types import QueryEmbeddings, ReferenceEmbeddings


def unit(count: int, dim: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.filterwarnings("error")
def test_a_read_only_map_is_searched_in_place(tmp_path: Path) -> None:
    queries, references = unit(70, 24, 1), unit(5000, 24, 2)
    np.save(tmp_path / "vectors.npy", references)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    scores, rows = CpuBfloat16(least_work=0, width=1024).top(queries, mapped, 9)
    expected, places = FaissFlat(gpus=0).top(queries, references, 9)
    assert np.abs(scores - expected).max() < 1e-6
    assert rows.tolist() == places.tolist()


def test_only_large_searches_are_made_in_bfloat16(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    import torch  # from here on, its import costs nothing

    made = []
    original = cpu_bfloat16.HalfProducts
    monkeypatch.setattr(
        cpu_bfloat16,
        "HalfProducts",
        lambda *values, **keys: made.append(values[0].shape) or original(*values, **keys),
    )
    monkeypatch.setattr(cpu_bfloat16, "_LEAST_WORK", 40 * 500 * 8)
    engine = CpuBfloat16()
    assert torch.is_tensor(torch.zeros(1))
    engine.top(unit(39, 8, 1), unit(500, 8, 2), 3)
    assert made == []
    engine.top(unit(40, 8, 1), unit(500, 8, 2), 3)
    assert made == [(40, 8)]


def two_sides(spread: float, *, is_sorted: bool) -> tuple[QueryEmbeddings, ReferenceEmbeddings]:
    """Return 60 queries and 12,000 references, a third of them near copies in runs of one norm."""
    rng = np.random.default_rng(7)
    queries = unit(60, 12, 1)
    vectors = unit(12_000, 12, 2)
    copies = rng.integers(60, size=16).repeat(250)
    vectors[:4000] = queries[copies] + 1e-3 * rng.standard_normal((4000, 12))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    norms = rng.normal(0.0, spread, size=12_000).astype(np.float32)
    norms[:4000] = norms[:16].repeat(250)
    if is_sorted:
        order = np.argsort(-norms, kind="stable")
        vectors, norms = vectors[order], norms[order]
    query_norms = rng.normal(0.0, spread, size=60).astype(np.float32)
    query_norms[:3] = (
        norms.max(),
        norms.max() + 1.0,
        norms.min() - 1.0,
    )  # few, none and all admitted
    query_norms[3:10] = norms[10:17]
    names = [np.char.add(side, np.arange(n).astype(str)) for side, n in (("q", 60), ("r", 12_000))]
    return (
        QueryEmbeddings(names[0], queries, query_norms),
        ReferenceEmbeddings(names[1], vectors, norms),
    )


@pytest.mark.parametrize("lam", [0.05, 3.0])
@pytest.mark.parametrize(("spread", "is_sorted"), [(0.3, True), (1.5, False), (0.0, False)])
@pytest.mark.parametrize("mode", ["cosine", "paper", "strict", "soft", "hinge"])
def test_searches_are_the_same_as_with_faiss(  # type: ignore[no-untyped-def]
    monkeypatch, mode: str, spread: float, is_sorted: bool, lam: float
) -> None:
    queries, references = two_sides(spread, is_sorted=is_sorted)
    clip = (-0.5, 0.4) if mode == "soft" and is_sorted else None
    score = Score(mode, lam=lam, tau=0.02, clip=clip)  # type: ignore[arg-type]
    expected = search(queries, references, score=score, k=4, engine=FaissFlat(gpus=0))
    monkeypatch.setattr(FaissFlat, "top", None)  # all of it is made in bfloat16
    for width in (1024, 4096):
        engine = CpuBfloat16(least_work=0, width=width)
        found = search(queries, references, score=score, k=4, engine=engine)
        assert found.reference_index.tolist() == expected.reference_index.tolist()
        assert found.scores.tolist() == expected.scores.tolist()


def test_tiles_that_no_query_reaches_are_not_multiplied(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Half of a strict search with norms of one law on both sides, and less of a steep hinge."""
    multiplied: list[int] = []
    original = HalfProducts._add_products

    def counted(self: HalfProducts, block: Any, products: Any, *others: Any) -> None:
        multiplied.append(products.numel())
        original(self, block, products, *others)

    monkeypatch.setattr(HalfProducts, "_add_products", counted)
    rng = np.random.default_rng(3)
    norms = [rng.normal(size=n).astype(np.float32) for n in (200, 8192)]
    queries = QueryEmbeddings(np.arange(200).astype(str), unit(200, 16, 1), norms[0])
    references = ReferenceEmbeddings(np.arange(8192).astype(str), unit(8192, 16, 2), norms[1])
    share = {}
    for score in (Score("cosine"), Score("strict"), Score("hinge", lam=20.0)):
        multiplied.clear()
        engine = CpuBfloat16(least_work=0, width=256)
        search(queries, references, score=score, k=3, engine=engine)
        share[score.mode] = sum(multiplied) / (200 * 8192)
    assert share["cosine"] == 1.0
    assert 0.45 < share["strict"] < 0.6
    assert share["hinge"] < 0.65


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx512f avx512_bf16\n", True),
        ("flags : fpu amx_bf16", True),
        ("flags : fpu avx512f\nmodel name : not avx512_bf16", False),
        ("", False),
    ],
)
def test_the_processor_says_what_it_multiplies(monkeypatch, text: str, expected: bool) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(Path, "read_text", lambda self, **options: text)
    assert multiplies_bfloat16.__wrapped__() is expected


def test_a_system_that_does_not_say_has_none(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    def missing(self: Path, **options: object) -> str:
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_text", missing)
    assert multiplies_bfloat16.__wrapped__() is False
