from __future__ import annotations

from functools import partial

import pytest
import torch

from asl.losses import WeightedSum
from asl.losses.classification import SmoothedCrossEntropy
from asl.losses.contrastive import KoLeo, QueueNCE
from asl.training.class_memory import class_bytes, free_bytes, refuse_large_classes
from asl.types import UsageError


def test_class_weights_count_with_gradient_and_state_and_take_no_memory() -> None:
    weights = {"classes": 1_100_000, "dim": 8192}  # 36 GB that nothing allocates

    def loss() -> WeightedSum:
        return WeightedSum(
            {"ce": SmoothedCrossEntropy, "koleo": KoLeo()}, {"ce": 1.0, "koleo": 1.0}, **weights
        )

    one = 4 * 1_100_000 * 8192
    assert class_bytes(loss, partial(torch.optim.Adam, lr=1e-3)) == 4 * one
    assert class_bytes(loss, partial(torch.optim.SGD, lr=1e-3, momentum=0.9)) == 3 * one
    assert class_bytes(loss, partial(torch.optim.SGD, lr=1e-3)) == 2 * one


def test_a_queue_is_no_class_weight() -> None:
    def loss() -> WeightedSum:
        return WeightedSum(
            {"queue": partial(QueueNCE, size=8)}, {"queue": 1.0}, classes=10**9, dim=4
        )

    assert class_bytes(loss, partial(torch.optim.Adam, lr=1e-3)) == 0


def test_what_does_not_fit_is_refused_with_the_keys_that_help() -> None:
    refuse_large_classes(2**30, 2**31, images=10)
    with pytest.raises(
        UsageError, match=r"class weights for 1100000 .* 134\.3 GiB .* 79\.0; raise data\.every"
    ):
        refuse_large_classes(16 * 1_100_000 * 8192, 79 * 2**30, images=1_100_000)


def test_free_memory_of_this_machine() -> None:
    assert 2**28 < free_bytes("cpu") < 2**46
