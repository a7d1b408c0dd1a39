"""The weighted sum of losses: its value, the parts that are built, and what is refused."""

from __future__ import annotations

from functools import partial

import pytest

from asl.losses import LossInputs, WeightedSum
from asl.losses.classification import (
    CosFace,
)
from asl.losses.contrastive import (
    InfoNCE,
    KoLeo,
)
from asl.types import UsageError
from tests.losses.small_batch import (
    SOURCE,
    features,
)


def test_a_weighted_sum_names_its_parts() -> None:
    total = WeightedSum(
        {"a": InfoNCE(), "b": KoLeo(), "c": partial(CosFace)},
        {"a": 2.0, "b": 0.5, "c": 0.0},
        classes=3,
        dim=4,
    )
    inputs = LossInputs(features().float(), SOURCE)
    value, parts = total(inputs)
    assert set(parts) == {"a", "b"}, "a part of weight 0 is not built"
    assert float(value) == pytest.approx(2 * float(parts["a"]) + 0.5 * float(parts["b"]))
    with pytest.raises(UsageError, match="d is in one only"):
        WeightedSum({"a": InfoNCE()}, {"a": 1.0, "d": 1.0})


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(UsageError, match="all are 0"):
        WeightedSum({"a": InfoNCE()}, {"a": 0.0})
