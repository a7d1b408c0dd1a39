"""Classes split over processes: the same loss and gradients as in one."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from asl.losses.class_shards import ClassShard, draw_rows, shared
from asl.losses.classification import CosFace
from tests.two_ranks import run_two


@pytest.mark.parametrize(("classes", "processes"), [(10, 1), (10, 3), (8, 8), (1_100_000, 7)])
def test_every_class_has_one_process(classes: int, processes: int) -> None:
    shards = [
        ClassShard.of(rank, classes=classes, processes=processes) for rank in range(processes)
    ]
    assert shards[0].start == 0
    assert shards[-1].stop == classes
    assert all(one.stop == other.start for one, other in pairwise(shards))
    sizes = {shard.stop - shard.start for shard in shards}
    assert max(sizes) - min(sizes) <= 1


def test_columns_of_classes() -> None:
    shard = ClassShard(3, 6, 9, 3)
    assert shard.columns(torch.tensor([2, 3, 5, 6])).tolist() == [-1, 0, 2, -1]


@pytest.mark.parametrize("processes", [2, 3])
def test_initial_weights_do_not_depend_on_the_number_of_processes(processes: int) -> None:
    classes = 10_000  # three blocks of one seed each
    whole = draw_rows(ClassShard(0, classes, classes), 4, std=0.01, seed=5)
    parts = [
        draw_rows(ClassShard.of(rank, classes=classes, processes=processes), 4, std=0.01, seed=5)
        for rank in range(processes)
    ]
    assert torch.equal(torch.cat(parts), whole)
    assert float(whole.std()) == pytest.approx(0.01, rel=0.02)
    assert len(torch.unique(whole[:, 0])) > 0.99 * classes, "no block repeats another"
    assert not torch.equal(draw_rows(ClassShard(0, 9, 9), 4, std=0.01, seed=6), whole[:9])


def test_sharded_weights_take_no_memory_before_they_are_split() -> None:
    loss = CosFace(classes=10**9, dim=8192, sharded=True)
    assert loss.weight.is_meta
    small = CosFace(classes=5, dim=4, sharded=True)
    small.keep_shard(0, 1)
    assert small.weight.shape == (5, 4)
    value = torch.randn(2, 4)
    assert shared(value, small.shard) is value


@pytest.mark.slow
def test_two_processes_have_loss_and_gradients_of_one() -> None:
    """In double precision, five steps of Adam, with and without groups, 4 + 3 classes."""
    worst = json.loads(run_two(Path(__file__).with_name("compare_shards.py")).splitlines()[-1])
    assert len(worst) == 12
    assert max(worst.values()) < 1e-12, worst
    assert any(worst.values()), "the order of the sums differs somewhere"
