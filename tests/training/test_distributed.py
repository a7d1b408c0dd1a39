"""Several processes take the steps of one: joined batches, batch norm over all of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.plugins.layer_sync import TorchSyncBatchNorm
from safetensors.torch import load_file
from torch import Tensor, nn

from asl.data.training_set import PairsAs
from asl.losses import LossInputs
from asl.models import build_embedder
from asl.training.distributed import TimmSyncBatchNorm, gather
from tests.training.kill_target import train_on_pairs, with_pairs
from tests.training.process_group import fork_server, run_group
from tests.training.small_training import (
    train,
    weights,
)
from tests.two_ranks import run_two


def test_batch_norm_over_processes_keeps_the_activations_of_timm() -> None:
    network = build_embedder(backbone="tf_efficientnet_lite0", pretrained=None, size=32).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        before = network(images)
        converted = TimmSyncBatchNorm().apply(network)
        torch.testing.assert_close(converted(images), before)
        assert any(isinstance(part, nn.SyncBatchNorm) for part in converted.modules())
        plain = build_embedder(backbone="tf_efficientnet_lite0", pretrained=None, size=32).eval()
        lost = TorchSyncBatchNorm().apply(plain)(images)
    assert not torch.allclose(lost, before, atol=1e-2), "torch's own conversion still loses them"


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_on_the_joined_batch(
    photos: Path, tmp_path: Path
) -> None:
    start, alone = (
        weights(train(photos, tmp_path / str(steps), identities=8, max_steps=steps))
        for steps in (0, 2)
    )
    script = Path(__file__).with_name("two_processes.py")
    run_two(script, photos, tmp_path / "two", 2, 4, 2)
    joined = load_file(tmp_path / "two" / "weights.safetensors")
    assert_same_steps(start, alone, joined, to=2e-5)


def assert_same_steps(
    start: dict[str, Tensor], one: dict[str, Tensor], two: dict[str, Tensor], *, to: float
) -> None:
    moved = max(float((value - start[name]).abs().max()) for name, value in one.items())
    apart = max(float((value - two[name]).abs().max()) for name, value in one.items())
    assert apart < to
    assert moved > 100 * apart, "the steps are much longer than what they differ by"


@pytest.mark.slow
@pytest.mark.parametrize("role", ["negatives", "positives"])
def test_hard_pairs_in_two_processes_give_the_steps_of_one(
    photos: Path, tmp_path: Path, role: PairsAs
) -> None:
    def by_one(steps: int) -> dict[str, Tensor]:
        settings = {**with_pairs(role), "max_steps": steps}
        return weights(train(photos, tmp_path / str(steps), **settings, identities=8, pairs=2))

    start, alone = by_one(0), by_one(2)
    assert run_group(fork_server(), train_on_pairs, photos, tmp_path / "two", role) == [0, 0]
    joined = load_file(tmp_path / "two" / "final.safetensors")
    assert_same_steps(start, alone, joined, to=2e-5)


class TwoRanks:
    """The second of two processes, whose partner holds the same rows plus 10."""

    trainer = SimpleNamespace(world_size=2, global_rank=1)

    def all_gather(self, value: Tensor, *, sync_grads: bool) -> Tensor:
        return torch.stack([value + 10, value])


def test_rows_are_joined_in_rank_order_and_pairs_moved_to_them() -> None:
    inputs = LossInputs(
        torch.arange(6.0).view(3, 2),
        torch.tensor([0, 1, 2]),
        pair_index=torch.tensor([[0, 2]]),
    )
    module: Any = TwoRanks()
    joined = gather(module, inputs)
    assert joined.source.tolist() == [10, 11, 12, 0, 1, 2]
    assert torch.equal(joined.features[3:], inputs.features)
    assert joined.pair_index is not None
    assert joined.pair_index.tolist()[1] == [3, 5], "rows 0 and 2 of the second process"
    assert joined.content is None
    module.trainer = SimpleNamespace(world_size=1)
    assert gather(module, inputs) is inputs
