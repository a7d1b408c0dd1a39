from __future__ import annotations

import numpy as np
import pytest

from asl.data.batch_sampler import IdentityBatches
from asl.data.training_set import Draw, HardPairs
from asl.types import AslError

PAIRS = HardPairs(np.array([[0, 1], [5, 9]]), np.array([False, True]))


def rows(batches: IdentityBatches) -> list[list[int]]:
    return [[draw.row for draw in batch] for batch in batches]


def test_every_source_comes_once_an_epoch_in_another_order_each_epoch() -> None:
    first, second = (rows(IdentityBatches(12, identities=4, epoch=epoch)) for epoch in (0, 1))
    for epoch in (first, second):
        assert sorted(row for batch in epoch for row in batch) == list(range(12))
    assert first != second
    assert first == rows(IdentityBatches(12, identities=4, epoch=0)), (
        "the order depends on seed and epoch alone"
    )
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


def many(count: int) -> HardPairs:
    return HardPairs(np.arange(2 * count).reshape(count, 2), np.zeros(count, bool))


def drawn(epoch: int, *, count: int, **keys: int) -> list[int]:
    """Pairs of an epoch in order, by their number."""
    batches = IdentityBatches(
        40, identities=6, epoch=epoch, hard_pairs=many(count), pairs=2, **keys
    )
    return [draw.row // 2 for batch in batches for draw in batch[2::2]]


@pytest.mark.parametrize("count", [1, 3, 7, 40, 41, 90])
def test_pairs_come_equally_often(count: int) -> None:
    """Within an epoch of 40 draws, and over the ends of epochs as if they were one long one."""
    seen: list[int] = []
    for epoch in range(4):
        pairs = drawn(epoch, count=count)
        assert len(pairs) == 40
        often = np.bincount(pairs, minlength=count)
        assert often.max() - often.min() <= 2, (
            "an epoch may hold the end of one round and the start of another"
        )
        seen += pairs
        often = np.bincount(seen, minlength=count)
        assert often.max() - often.min() <= 1
    rounds = [seen[start : start + count] for start in range(0, len(seen) - count + 1, count)]
    assert all(sorted(one) == list(range(count)) for one in rounds)
    if count > 6:
        assert rounds[0] != list(range(count)), "in a random order"
        assert all(one != rounds[0] for one in rounds[1:]), "and another in each round"


def test_every_draw_of_an_epoch_has_a_view_key_of_its_own() -> None:
    """The same image as a single source and often in one pair: its views differ each time."""
    batches = list(IdentityBatches(20, identities=6, epoch=1, hard_pairs=PAIRS, pairs=2))
    keys = [(draw.row, draw.number) for batch in batches for draw in batch]
    assert len(set(keys)) == len(keys)
    assert len({row for row, _ in keys}) < len(keys), "images do come several times here"


@pytest.mark.parametrize("world", [2, 3])
def test_pairs_of_several_processes_are_those_of_one(world: int) -> None:
    pairs, sources = many(11), 37

    def steps(**keys: int) -> list[list[Draw]]:
        size = 5 * keys["pairs"]
        return list(IdentityBatches(sources, identities=size, epoch=2, hard_pairs=pairs, **keys))

    single = steps(pairs=world)
    parts = [steps(pairs=1, rank=rank, world=world) for rank in range(world)]
    joined = [[draw for part in step for draw in part] for step in zip(*parts, strict=True)]
    assert [sorted(step) for step in joined] == [sorted(step) for step in single]
    # The sides of a pair stay neighbours in the same order, too.
    assert [[d for d in step if d.paired] for step in joined] == [
        [d for d in step if d.paired] for step in single
    ]


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_one_process_s_batches(world: int) -> None:
    single = list(IdentityBatches(37, identities=2 * world, epoch=2))
    parts = [
        list(IdentityBatches(37, identities=2, epoch=2, rank=rank, world=world))
        for rank in range(world)
    ]
    assert [
        [draw for part in joined for draw in part] for joined in zip(*parts, strict=True)
    ] == single


def test_a_batch_that_cannot_be_filled_is_refused() -> None:
    with pytest.raises(AslError, match="takes 8 training images, there are 5"):
        IdentityBatches(5, identities=8, epoch=0)
    with pytest.raises(AslError, match="there are none"):
        IdentityBatches(50, identities=8, epoch=0, pairs=1)
    with pytest.raises(AslError, match="no room"):
        IdentityBatches(50, identities=4, epoch=0, pairs=2, hard_pairs=PAIRS)
