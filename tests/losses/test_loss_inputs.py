"""Inputs of the losses: directions, norms and groups; missing fields are named."""

from __future__ import annotations

import pytest
import torch

from asl.losses import LossInputs
from asl.losses.hard_pairs import (
    RelationalDistillation,
)
from asl.types import AslError
from tests.losses.small_batch import (
    SOURCE,
    features,
)


def test_what_is_missing_is_named_with_its_remedy() -> None:
    with pytest.raises(AslError, match="set teacher=MODEL"):
        RelationalDistillation()(LossInputs(features(), SOURCE))
    with pytest.raises(AslError, match="expected 6 rows"):
        LossInputs(features(), SOURCE[:3])


def test_directions_norms_and_groups() -> None:
    inputs = LossInputs(
        torch.tensor([[3.0, 4.0], [0.0, 2.0]]),
        torch.tensor([2, 0]),
        groups=torch.tensor([7, 8, 9]),
    )
    torch.testing.assert_close(inputs.unit, torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    assert inputs.norms.tolist() == [5.0, 2.0]
    assert inputs.group.tolist() == [9, 7]
    assert inputs.group_of(torch.tensor([1])).tolist() == [8]
    assert LossInputs(features(), SOURCE).group is SOURCE, "each image is its own group"


def test_a_field_that_does_not_exist_and_features_of_another_shape_are_refused() -> None:
    with pytest.raises(AslError, match="no field 'colour'"):
        LossInputs(features(), SOURCE).need("colour")
    with pytest.raises(AslError, match=r"expected shape \[B, D\], got \(6, 4, 1\)"):
        LossInputs(features()[..., None], SOURCE)
