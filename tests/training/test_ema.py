"""The moving average of the weights: what is saved, and which decays are refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from asl.models import Embedder, build_embedder
from asl.training.ema import AveragedEmbedder
from asl.types import UsageError
from tests.training.small_training import (
    Steps,
    train,
    weights,
)


def test_what_is_saved_is_the_moving_average_of_the_weights(photos: Path, tmp_path: Path) -> None:
    steps = Steps()
    saved = weights(train(photos, tmp_path, ema=0.75, callbacks=(steps,)))
    name = "backbone.conv1.0.weight"
    expected = steps.weights[0][name]
    for after in steps.weights[1:]:
        expected = 0.75 * expected + 0.25 * after[name]
    torch.testing.assert_close(saved[name], expected)
    assert not torch.allclose(saved[name], steps.weights[-1][name])


@pytest.mark.parametrize("decay", [-0.1, 0.0, 1.0])
def test_a_decay_out_of_bounds_is_refused(decay: float) -> None:
    with pytest.raises(UsageError, match=rf"trainer\.ema: must be above 0 .* got {decay}"):
        AveragedEmbedder(decay)


def test_the_average_is_part_of_the_checkpoint_and_copied_to_an_embedder() -> None:
    def network() -> Embedder:
        return build_embedder(backbone="resnet10t", size=32, neck="sqrt")

    trainer: Any = SimpleNamespace(
        strategy=SimpleNamespace(root_device=torch.device("cpu")), global_step=1
    )
    module: Any = SimpleNamespace(embedder=network())
    name = "backbone.conv1.0.weight"
    averaged, restored = AveragedEmbedder(0.5), AveragedEmbedder(0.5)
    averaged.setup(trainer, module, "fit")
    averaged.on_train_batch_end(trainer, module, None, None, 0)
    start = module.embedder.state_dict()[name].clone()
    with torch.no_grad():
        module.embedder.get_parameter(name).add_(1.0)
    averaged.on_train_batch_end(trainer, module, None, None, 1)
    torch.testing.assert_close(averaged.embedder.state_dict()[name], start, msg="the same step")
    trainer.global_step = 2
    averaged.on_train_batch_end(trainer, module, None, None, 2)
    torch.testing.assert_close(averaged.embedder.state_dict()[name], start + 0.5)
    restored.setup(trainer, module, "fit")
    restored.load_state_dict(averaged.state_dict())
    target = network()
    restored.copy_to(target)
    torch.testing.assert_close(target.state_dict()[name], start + 0.5)
