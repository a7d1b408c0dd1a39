"""Class weights over processes: clipped alike, saved whole, resumed by any number of processes."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asl.losses import WeightedSum
from asl.losses.classification import CosFace
from asl.training.sharded_classes import ShardedClasses, clip
from tests.training.two_shards import class_training
from tests.two_ranks import run_two

WEIGHT = "loss.parts.cosface.weight"


def state_of(output: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(output / "checkpoints" / "last.ckpt", weights_only=True)
    return state


def norms(output: Path) -> list[float]:
    with (output / "metrics.csv").open(newline="") as file:
        return [float(row["gradient_norm"]) for row in csv.DictReader(file) if row["gradient_norm"]]


def check_close(value: Tensor, expected: Tensor, *, relative: float = 2e-2) -> None:
    assert value.shape == expected.shape
    difference = torch.linalg.vector_norm((value - expected).double())
    assert difference <= relative * torch.linalg.vector_norm(expected.double())


def joined(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.double().ravel() for tensor in tensors])


def check_equal(one: dict[str, Any], two: dict[str, Any]) -> None:
    """Weights and averages of the gradient: those of the classes, and those of the network.

    The network's all together: one neuron at its kink is off by some percent between a convolution
    over 16 images and two over 8.
    """
    weights, others = one["state_dict"], two["state_dict"]
    assert weights.keys() == others.keys()
    check_close(others[WEIGHT], weights[WEIGHT], relative=1e-3)
    network = [name for name in weights if name != WEIGHT]
    check_close(
        joined(others[name] for name in network),
        joined(weights[name] for name in network),
        relative=1e-4,
    )
    first, second = one["optimizer_states"][0]["state"], two["optimizer_states"][0]["state"]
    assert first.keys() == second.keys()
    (classes,) = [n for n, kept in first.items() if kept["exp_avg"].shape == (8, 512)]
    rest = [number for number in first if number != classes]
    for name in ("exp_avg", "exp_avg_sq"):
        check_close(second[classes][name], first[classes][name])
        check_close(joined(second[n][name] for n in rest), joined(first[n][name] for n in rest))
    assert all(second[number]["step"] == kept["step"] for number, kept in first.items())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_with_half_the_classes_take_the_steps_of_one(
    photos: Path, tmp_path: Path
) -> None:
    """And each resumes the other's checkpoint to the same end."""
    script = Path(__file__).with_name("two_shards.py")
    chosen = {"identities": 4, "max_epochs": 2, "sharded": True, "log_every_n_steps": 1}
    class_training(photos, tmp_path / "one", identities=8, max_epochs=2)
    shutil.copytree(tmp_path / "one", tmp_path / "from_one")
    run_two(script, photos, tmp_path / "two", json.dumps(chosen))
    shutil.copytree(tmp_path / "two", tmp_path / "from_two")
    check_equal(state_of(tmp_path / "one"), state_of(tmp_path / "two"))
    assert min(norms(tmp_path / "one")) > 0.5, "clipped, so that the norm counts"
    assert norms(tmp_path / "two") == pytest.approx(norms(tmp_path / "one"), rel=1e-3)

    class_training(photos, tmp_path / "one", identities=8, max_epochs=4)
    class_training(photos, tmp_path / "from_two", identities=8, max_epochs=4)
    run_two(script, photos, tmp_path / "from_one", json.dumps({**chosen, "max_epochs": 4}))
    end = state_of(tmp_path / "one")
    assert end["global_step"] == 4
    check_equal(end, state_of(tmp_path / "from_two"))
    check_equal(end, state_of(tmp_path / "from_one"))


def test_one_process_keeps_all_classes() -> None:
    loss = WeightedSum({"c": CosFace(classes=3, dim=2, sharded=True)}, {"c": 1.0})
    shards = ShardedClasses(loss)
    assert shards.names() == ["loss.parts.c.weight"]
    shards.keep(0, 1)
    assert not shards.split
    assert loss.state_dict()["parts.c.weight"].shape == (3, 2)
    whole = ShardedClasses(WeightedSum({"c": CosFace(classes=3, dim=2)}, {"c": 1.0}))
    assert not whole.names(), "weights that were drawn are left alone"


def test_gradients_are_scaled_down_to_a_norm_and_never_up() -> None:
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([3.0, 4.0])
    shards = ShardedClasses(nn.Module())
    norm = shards.gradient_norm([weight])
    assert float(norm) == pytest.approx(5.0)
    clip([weight], norm, largest=10.0)
    assert weight.grad.tolist() == [3.0, 4.0]
    clip([weight], 2 * norm, largest=5.0)  # half of it is in another process
    torch.testing.assert_close(weight.grad, torch.tensor([1.5, 2.0]))
