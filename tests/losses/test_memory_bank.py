"""The memory bank and the losses that compare a batch with it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from asl.losses import LossInputs
from asl.losses.memory_bank import CrossBatchContrastive, QueueNCE
from tests.losses.small_batch import (
    SOURCE,
    TWO_ORIGINALS,
    check_group_does_not_repel,
    check_zero_without_pairs,
    features,
    four_rows,
)


@pytest.mark.parametrize("kind", [QueueNCE, CrossBatchContrastive])
def test_memories_are_part_of_the_state_and_wrap_around(kind: type[nn.Module]) -> None:
    memory = kind(dim=4, size=8)
    for seed in range(3):
        memory(LossInputs(features(seed).float(), SOURCE + 10 * seed))
    assert int(memory.filled) == 18
    keys, sources = memory.held()
    assert len(keys) == 8
    assert sorted(sources.tolist()) == [12, 12, 20, 20, 21, 21, 22, 22], "the last eight rows"
    again = kind(dim=4, size=8)
    again.load_state_dict(memory.state_dict())
    inputs = LossInputs(features(5).float(), SOURCE)
    assert torch.equal(memory.eval()(inputs), again.eval()(inputs))
    assert int(memory.filled) == 18, "evaluation remembers nothing"


def test_a_memory_repels_only_rows_of_other_groups() -> None:
    memory = CrossBatchContrastive(dim=4, size=8, negative_margin=2.0)
    memory(LossInputs(four_rows(0), TWO_ORIGINALS))
    later = LossInputs(four_rows(1), torch.tensor([2, 2, 3, 3]), groups=torch.tensor([0, 0, 0, 0]))
    only_pull = float(memory.eval()(later))
    pull = (later.unit[[0, 2]] - later.unit[[1, 3]]).norm(dim=1).mean()
    assert only_pull == pytest.approx(float(pull), rel=1e-5)
    others = LossInputs(four_rows(1), torch.tensor([2, 2, 3, 3]), groups=torch.tensor([0, 0, 1, 1]))
    assert float(memory(others)) > only_pull + 0.1


@pytest.mark.parametrize("loss", [QueueNCE(dim=4, size=8)])
def test_a_batch_without_pairs_gives_zero_and_a_gradient(loss: nn.Module) -> None:
    check_zero_without_pairs(loss)


@pytest.mark.parametrize("loss", [QueueNCE(dim=4, size=8)], ids=lambda loss: type(loss).__name__)
def test_two_originals_of_one_group_do_not_repel(loss: nn.Module) -> None:
    check_group_does_not_repel(loss)
