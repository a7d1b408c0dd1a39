"""Quantiles against numpy's own."""

from __future__ import annotations

import numpy as np
import pytest

from asl.matching.evidence.quantile import quantile


@pytest.mark.parametrize("count", [1, 2, 3, 10, 11, 64, 5000])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.9, 1.0])
def test_it_is_the_quantile_of_numpy(count: int, share: float) -> None:
    rng = np.random.default_rng(count)
    for values in (rng.normal(size=count), rng.integers(0, 3, count)):
        given = values.astype(np.float32)
        before = given.copy()
        assert quantile(given, share) == pytest.approx(np.quantile(given, share), abs=1e-6)
        np.testing.assert_array_equal(given, before)
