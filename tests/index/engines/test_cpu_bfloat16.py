"""The bfloat16 engine finds what FAISS finds, in place; small searches are FAISS's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.index.engines import cpu_bfloat16
from asl.index.engines.cpu_bfloat16 import CpuBfloat16, multiplies_bfloat16
from asl.index.engines.faiss_flat import FaissFlat
from asl.index.exact.exact_search import search
from asl.scoring.score import Score
from asl.types import Embeddings


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


@pytest.mark.parametrize("mode", ["cosine", "paper", "strict", "soft", "hinge"])
def test_searches_are_the_same_as_with_faiss(mode: str) -> None:
    rng = np.random.default_rng(7)
    sides = [
        Embeddings.from_features([f"{p}{n}" for n in range(c)], rng.normal(size=(c, 12)))
        for p, c in (("q", 50), ("r", 3000))
    ]
    engine = CpuBfloat16(least_work=0, width=1024)
    found = [
        search(
            sides[0].as_queries(),
            sides[1].as_references(),
            score=Score(mode, lam=0.2),  # type: ignore[arg-type]
            k=7,
            engine=each,
        )
        for each in (FaissFlat(gpus=0), engine)
    ]
    assert found[0].reference_index.tolist() == found[1].reference_index.tolist()
    assert found[0].scores.tolist() == found[1].scores.tolist()


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
