"""Blocks of queries and references give the lists of one product."""

from __future__ import annotations

import numpy as np
import pytest

from asl.index.engines.numpy_exact import NumpyExact


@pytest.mark.parametrize(("query_block", "reference_block"), [(1, 1), (7, 33), (512, 16384)])
@pytest.mark.parametrize("m", [1, 10, 300])
def test_blocks_are_the_whole(query_block: int, reference_block: int, m: int) -> None:
    rng = np.random.default_rng(0)
    queries, references = (rng.normal(size=(n, 5)).astype(np.float32) for n in (20, 300))
    engine = NumpyExact(query_block=query_block, reference_block=reference_block)
    scores, rows = engine.top(queries, references, m)
    products = queries.astype(np.float64) @ references.astype(np.float64).T
    assert rows.tolist() == np.argsort(-products, axis=1, kind="stable")[:, :m].tolist()
    np.testing.assert_allclose(scores, -np.sort(-products, axis=1)[:, :m], rtol=1e-5, atol=1e-5)
    assert engine.hold(references) is None
