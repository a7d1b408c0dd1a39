from __future__ import annotations

import numpy as np
import pytest

from asl.data.sampler import IdentityBatches
from asl.data.training_set import HardPairs
from asl.types import AslError

PAIRS = HardPairs(np.array([[0, 1], [5, 9]]), np.array([False, True]))


def rows(batches: IdentityBatches) -> list[list[int]]:
    return [[draw.row for draw in batch] for batch in batches]


def test_every_source_comes_once_an_epoch_in_another_order_each_epoch() -> None:
    first, second = (rows(IdentityBatches(12, identities=4, epoch=epoch)) for epoch in (0, 1))
    for epoch in (first, second):
        assert sorted(row for batch in epoch for row in batch) == list(range(12))
    assert first != second
    assert first == rows(IdentityBatches(12, identities=4, epoch=0)), "the order depends on seed and epoch alone"
    assert first != rows(IdentityBatches(12, identities=4, epoch=0, seed=1))


def test_hard_pairs_stand_side_by_side_at_the_end() -> None:
    batches = list(IdentityBatches(20, identities=6, epoch=3, hard_pairs=PAIRS, pairs=2))
    assert all(len(batch) == 6 for batch in batches)
    known = {(0, 1): False, (5, 9): True}
    for batch in batches:
        assert not any(draw.paired for draw in batch[:2])
        assert all(draw.paired and draw.epoch == 3 for draw in batch[2:])
        for left, right in (batch[2:4], batch[4:6]):
            assert known[left.row, right.row] == left.directed == right.directed


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_one_process_s_batches(world: int) -> None:
    single = list(IdentityBatches(37, identities=2 * world, epoch=2))
    parts = [list(IdentityBatches(37, identities=2, epoch=2, rank=rank, world=world)) for rank in range(world)]
    assert [[draw for part in joined for draw in part] for joined in zip(*parts, strict=True)] == single


def test_a_batch_that_cannot_be_filled_is_refused() -> None:
    with pytest.raises(AslError, match="takes 8 training images, there are 5"):
        IdentityBatches(5, identities=8, epoch=0)
    with pytest.raises(AslError, match="there are none"):
        IdentityBatches(50, identities=8, epoch=0, pairs=1)
    with pytest.raises(AslError, match="no room"):
        IdentityBatches(50, identities=4, epoch=0, pairs=2, hard_pairs=PAIRS)
