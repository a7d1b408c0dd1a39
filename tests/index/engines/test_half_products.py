"""Lists by 16-bit products are those of float64, even where 16 bits tell no neighbours apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asl.index.engines import half_products
from asl.index.engines.half_products import Gain, HalfProducts, largest, rounded
from asl.index.engines.protocol import ROUNDING

TYPES = [torch.float16, torch.bfloat16]


def unit(count: int, dim: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def search(
    queries: np.ndarray,
    references: np.ndarray,
    m: int,
    *,
    dtype: torch.dtype = torch.bfloat16,
    width: int = 2048,
    block: int = 16,
    gain: Gain | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    everything = torch.tensor(references)
    run = HalfProducts(
        torch.tensor(queries), dtype, everything.__getitem__, m, block=block, gain=gain
    )
    for low in range(0, len(references), width):
        tile = everything[low : low + width]
        small, lost = rounded(tile, dtype)
        run.add(low, small, tile.norm(dim=1).max(), lost.max())
    scores, rows = run.result()
    return scores.numpy(), rows.numpy()


def compare(
    queries: np.ndarray, references: np.ndarray, scores: np.ndarray, rows: np.ndarray
) -> None:
    """Hold lists against products in float64, relative to the vectors' norms."""
    truth = queries.astype(np.float64) @ references.astype(np.float64).T
    m = scores.shape[1]
    expected = -np.sort(-truth, axis=1)[:, :m]
    scale = np.linalg.norm(queries, axis=1).max() * np.linalg.norm(references, axis=1).max()
    assert np.abs(scores - expected).max() <= ROUNDING * scale
    found = np.take_along_axis(truth, rows, axis=1)
    assert np.abs(found - expected).max() <= 2 * ROUNDING * scale
    assert all(len(set(row)) == m for row in rows.tolist())


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("count", "dim", "m"),
    [(5000, 8, 3), (5000, 32, 10), (900, 8, 900), (900, 2, 900), (5000, 33, 1)],
)
def test_lists_are_those_of_float64(dtype: torch.dtype, count: int, dim: int, m: int) -> None:
    queries, references = unit(40, dim, 1), unit(count, dim, 2)
    compare(queries, references, *search(queries, references, m, dtype=dtype))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("scale", [1.0, 1e-3, 20.0])
def test_vectors_of_any_norm_and_of_tiny_entries(dtype: torch.dtype, scale: float) -> None:
    queries, references = scale * unit(50, 48, 5), unit(3000, 48, 6) ** 3
    compare(queries, references, *search(queries, references, 7, dtype=dtype))


def test_every_product_lies_within_its_margin() -> None:
    queries, references = torch.tensor(unit(200, 48, 5)), torch.tensor(unit(200, 48, 6) ** 3)
    for dtype in TYPES:
        run = HalfProducts(queries, dtype, references.__getitem__, 1)
        small, lost = rounded(references, dtype)
        mine, _ = rounded(queries, dtype)
        error = (mine.double() @ small.double().T - queries.double() @ references.double().T).abs()
        margin = run.margin(references.norm(dim=1).max(), lost.max())
        assert bool((error <= margin[:, None]).all())
        assert bool((margin < 40 * error.max()).all()), "too wide a margin would fetch everything"


def test_neighbours_that_16_bits_cannot_tell_apart_are_told_apart() -> None:
    base, rng = unit(1, 64, 3), np.random.default_rng(4)
    references = (base + 2e-3 * rng.standard_normal((3000, 64))).astype(np.float32)
    references /= np.linalg.norm(references, axis=1, keepdims=True)
    scores, rows = search(base, references, 5, width=1024)
    compare(base, references, scores, rows)
    rough = (torch.tensor(base).bfloat16() @ torch.tensor(references).bfloat16().T).float().numpy()
    assert len(set(np.argsort(-rough[0])[:5]) & set(rows[0])) < 5, (
        "the test is one that rounding alone would fail"
    )


def test_memory_is_bounded_where_nearly_everything_is_one(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Blank images on both sides: every reference is a candidate of every query."""
    monkeypatch.setattr(half_products, "_HITS_AT_ONCE", 6000)
    rng = np.random.default_rng(13)
    blank = (unit(1, 16, 12) + 1e-6 * rng.standard_normal((3000, 16))).astype(np.float32)
    ranked, held = HalfProducts._scores, []
    monkeypatch.setattr(
        HalfProducts,
        "_scores",
        lambda self, queries, rows: held.append(len(rows)) or ranked(self, queries, rows),
    )
    compare(blank[:40], blank, *search(blank[:40], blank, 5, width=1024))
    assert sum(held) > 40 * 2900, "nearly all pairs are candidates"
    assert max(held) <= 2 * 6000


def test_the_order_of_tiles_and_late_better_ones_change_nothing() -> None:
    queries, references = unit(30, 16, 20), unit(4000, 16, 21)
    similarity = (queries @ references.T).max(axis=0)
    for order in (np.argsort(similarity), np.argsort(-similarity)):
        compare(queries, references[order], *search(queries, references[order], 9, width=512))


@pytest.mark.parametrize("dtype", TYPES)
def test_the_largest_of_floats_of_any_sign(dtype: torch.dtype) -> None:
    values = torch.tensor(np.random.default_rng(3).normal(size=(50, 8)) - 1.5).to(dtype)
    values[0] = torch.tensor([-0.0] * 7 + [0.0])
    values[1] = -torch.finfo(dtype).tiny
    assert bool((values.amax(dim=1) < 0).any() and (values.amax(dim=1) > 0).any())
    assert torch.equal(largest(values.T.contiguous()), values.amax(dim=1))


def test_queries_that_are_opposite_to_everything() -> None:
    references = unit(3000, 16, 30) + 4 * unit(1, 16, 31)
    compare(-references[:20], references, *search(-references[:20], references, 5))


def test_gains_are_added_and_leave_references_out() -> None:
    """Gains of steps and of -inf, in groups that they cut anywhere; fewer are left than asked."""
    queries, references = unit(40, 8, 40), unit(6000, 8, 41)
    ends = torch.tensor(np.random.default_rng(42).integers(0, 6000, size=40))
    ends[:4] = torch.tensor([0, 3, 9, 6000])

    def gain(rows: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        return torch.where(others < ends[rows], -0.1 * torch.log1p(others.double()), -torch.inf)

    everyone = torch.arange(40)[:, None], torch.arange(6000)
    truth = queries.astype(np.float64) @ references.astype(np.float64).T + gain(*everyone).numpy()
    for width in (512, 6000):
        scores, rows = search(queries, references, 10, width=width, gain=gain)
        for query, end in enumerate(ends.tolist()):
            count = min(10, end)
            expected = np.argsort(-truth[query])[:count]
            assert rows[query, :count].tolist() == expected.tolist()
            assert np.abs(scores[query, :count] - truth[query, expected]).max(initial=0.0) < 1e-5
            assert set(rows[query, count:]) <= {-1}
            assert np.isneginf(scores[query, count:]).all()
