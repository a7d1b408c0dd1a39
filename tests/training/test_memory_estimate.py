"""Memory of a training step: class weights, activations, logits; what does not fit is refused."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from asl.losses import WeightedSum
from asl.losses.classification import SmoothedCrossEntropy
from asl.losses.contrastive import KoLeo
from asl.losses.memory_bank import QueueNCE
from asl.models import build_embedder
from asl.training import memory_estimate
from asl.training.memory_estimate import (
    StepPlan,
    activation_bytes,
    chosen_gpus,
    class_bytes,
    free_bytes,
    refuse_large_classes,
    step_bytes,
)
from asl.types import UsageError

IMAGES, DIM = 1_100_000, 8192  # 36 GB that nothing allocates


def loss() -> WeightedSum:
    return WeightedSum(
        {"ce": SmoothedCrossEntropy, "koleo": KoLeo()},
        {"ce": 1.0, "koleo": 1.0},
        classes=IMAGES,
        dim=DIM,
    )


def test_class_weights_count_with_all_copies_and_take_no_memory() -> None:
    one = 4 * IMAGES * DIM
    adam = partial(torch.optim.Adam, lr=1e-3)
    assert class_bytes(loss, adam) == 5 * one, "weights, gradient, two averages, a temporary copy"
    assert class_bytes(loss, partial(adam, fused=True)) == 4 * one
    assert class_bytes(loss, adam, processes=2) == 6 * one, "and DDP's buckets"
    assert class_bytes(loss, partial(torch.optim.SGD, lr=1e-3, momentum=0.9)) == 3 * one
    assert class_bytes(loss, partial(torch.optim.SGD, lr=1e-3)) == 2 * one


def test_a_queue_is_no_class_weight() -> None:
    def queue() -> WeightedSum:
        return WeightedSum(
            {"queue": partial(QueueNCE, size=8)}, {"queue": 1.0}, classes=10**9, dim=4
        )

    assert class_bytes(queue, partial(torch.optim.Adam, lr=1e-3)) == 0


def test_a_step_counts_network_activations_and_logits() -> None:
    embedder = build_embedder(backbone="resnet18", size=64, neck="none")
    plan = StepPlan(rows=256, views=128, size=64, processes=2, classes=IMAGES)
    needed = step_bytes(embedder, loss, partial(torch.optim.Adam, lr=1e-3), plan)
    parameters = sum(weight.numel() for weight in embedder.parameters())
    assert needed["class weights"] == 6 * 4 * IMAGES * DIM
    assert needed["class logits"] == 4 * 4 * 256 * IMAGES
    assert needed["network"] == pytest.approx(6 * 4 * parameters, rel=1e-6)
    assert needed["activations"] == 128 * activation_bytes(embedder, size=64)
    halved = step_bytes(
        embedder,
        loss,
        partial(torch.optim.Adam, lr=1e-3),
        StepPlan(rows=256, views=128, size=64, processes=2, classes=IMAGES, half=True),
    )
    assert halved["activations"] == needed["activations"] // 2


@pytest.mark.parametrize(
    ("backbone", "options"),
    [("resnet18", {}), ("vit_tiny_patch16_224", {"img_size": 64})],
    ids=["ResNet", "fused attention"],
)
def test_activations_are_what_autograd_saves(backbone: str, options: dict[str, int]) -> None:
    """The same count on real tensors, by the identity of their memory."""
    embedder = build_embedder(backbone=backbone, size=64, neck="none", options=options).train()
    saved: dict[int, int] = {}
    alive = []

    def count(tensor: torch.Tensor) -> torch.Tensor:
        alive.append(tensor)
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {weight.untyped_storage().data_ptr() for weight in embedder.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        embedder(torch.rand(2, 3, 64, 64))
    real = sum(size for place, size in saved.items() if place not in weights) / 2
    assert activation_bytes(embedder, size=64) == pytest.approx(real, rel=0.02)


def test_what_does_not_fit_is_refused_with_the_keys_that_help() -> None:
    needed = {"class weights": 40 * 2**30, "network": 2**30}
    refuse_large_classes(needed, 42 * 2**30, images=10)
    refuse_large_classes({"class weights": 0, "network": 2**40}, 1, images=10)
    message = (
        r"class weights for 1,100,000 .* 41\.0 GiB .*\(class weights 40\.0, network 1\.0\), "
        r"the device has 40\.0 free; raise data\.every"
    )
    with pytest.raises(UsageError, match=message):
        refuse_large_classes(needed, 40 * 2**30, images=1_100_000)


def test_the_chosen_gpus_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2**28 < free_bytes("cpu") < 2**46
    free = [80, 24, 80, 40]
    cuda = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 4,
        mem_get_info=lambda gpu: (free[gpu], 80),
    )
    monkeypatch.setattr(memory_estimate.torch, "cuda", cuda)
    for devices, gpus in ((1, [0]), (2, [0, 1]), ("auto", [0, 1, 2, 3]), (-1, [0, 1, 2, 3])):
        assert chosen_gpus(devices) == gpus
    assert free_bytes("gpu", [0, 2]) == 80
    assert free_bytes("auto", "2,3") == 40
    assert free_bytes("gpu", "auto") == 24


def test_split_class_weights_count_once_over_all_processes() -> None:
    adam = partial(torch.optim.Adam, lr=1e-3)
    one = 4 * IMAGES * DIM
    assert class_bytes(loss, adam, processes=4, sharded=True) == 5 * one // 4, "and no buckets"
    embedder = build_embedder(backbone="resnet18", size=64, neck="none")
    plan = StepPlan(rows=256, views=64, size=64, processes=4, classes=IMAGES, sharded=True)
    assert step_bytes(embedder, loss, adam, plan)["class logits"] == 4 * 4 * 256 * IMAGES // 4
