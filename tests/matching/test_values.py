"""Values of the verifier: ranges of the settings, order and finiteness of the evidence."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import numpy as np
import pytest

from asl.matching.values import EVIDENCE, Evidence, Settings
from asl.types import AslError


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("size", (64, 1024), (63, 1025)),
        ("features", (16, 5000), (15, 5001)),
        ("regions", (1, 16), (0, 17)),
        ("ratio", (0.01, 0.99), (0.0, 1.0, -0.5)),
        ("tolerance", (0.1, 49.9), (0.0, 50.0, float("nan"))),
    ],
)
def test_settings_outside_their_range_are_refused_by_name(
    name: str, good: tuple[Any, ...], bad: tuple[Any, ...]
) -> None:
    for value in good:
        assert getattr(replace(Settings(), **{name: value}), name) == value
    for value in bad:
        with pytest.raises(AslError, match=rf"settings\.{name}: expected a number .*got {value}"):
            Settings(**{name: value})


def test_the_vector_has_every_measurement_in_the_order_of_the_names() -> None:
    assert len(set(EVIDENCE)) == len(EVIDENCE) == len(fields(Evidence))
    numbers = np.random.default_rng(0).permutation(len(EVIDENCE)).astype(float)
    evidence = Evidence(**dict(zip(EVIDENCE, numbers.tolist(), strict=True)))
    vector = evidence.vector()
    assert vector.dtype == np.float64
    np.testing.assert_array_equal(vector, numbers)
    assert not Evidence().vector().any()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_evidence_is_finite_and_stays_as_it_is(value: float) -> None:
    for name in (EVIDENCE[0], EVIDENCE[-1], "corr_low"):
        with pytest.raises(AslError, match=rf"evidence\.{name}: expected a finite number"):
            Evidence(**{name: value})
    with pytest.raises(FrozenInstanceError):
        Evidence().seen = 1.0  # type: ignore[misc]
