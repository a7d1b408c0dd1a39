"""Numbers that no training can have are refused by their key."""

from __future__ import annotations

import pytest

from asl.cli import compose
from asl.console.train_words import schema_keys
from asl.training.number_limits import LEAST, check_limits
from asl.types import UsageError


@pytest.mark.parametrize("key", LEAST)
def test_a_number_below_its_least_is_refused(key: str) -> None:
    assert key in schema_keys() or key == "model.dim"
    config = compose("train", ["model.dim=64"])
    check_limits(config)
    group, _, name = key.rpartition(".")
    target = getattr(config, group) if group else config
    if isinstance(target, dict):
        target[name] = LEAST[key] - 1
    else:
        setattr(target, name, LEAST[key] - 1)
    with pytest.raises(UsageError, match=f"^{key}: must be {LEAST[key]} or more, got"):
        check_limits(config)


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), "x", None])
def test_a_weight_of_a_loss_is_a_finite_number(weight: object) -> None:
    config = compose("train")
    config.loss["weights"]["norm_ratio"] = weight
    with pytest.raises(UsageError, match=r"^loss\.weights\.norm_ratio: expected a finite number"):
        check_limits(config)
