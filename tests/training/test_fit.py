"""A killed training ends with the weights of an uninterrupted one; a new one starts afresh."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from asl.losses import LossInputs, WeightedSum
from asl.losses.contrastive import InfoNCE
from asl.losses.norm_ratio import NormRatio
from asl.models import build_embedder
from tests.training.small_training import (
    Killed,
    Steps,
    train,
    weights,
)


class Kill(Callback):
    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if trainer.current_epoch == 2:
            raise Killed


class KillAtOnce(Callback):
    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        raise Killed


class Random(nn.Module):
    """A loss that draws: a resumed run must draw the same."""

    def forward(self, inputs: LossInputs) -> Tensor:
        return (inputs.unit * torch.randn_like(inputs.unit)).sum()


@pytest.mark.slow
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_killed_training_ends_with_the_very_weights_of_an_uninterrupted_one(
    photos: Path, tmp_path: Path, ema: float
) -> None:
    def drawing() -> WeightedSum:
        parts = {
            "infonce": InfoNCE(),
            "published": NormRatio(pairs="published"),
            "random": Random(),
        }
        return WeightedSum(parts, dict.fromkeys(parts, 0.3))

    whole = weights(train(photos, tmp_path / "whole", ema=ema, loss=drawing()))
    with pytest.raises(Killed):
        train(photos, tmp_path / "killed", ema=ema, loss=drawing(), callbacks=(Kill(),))
    steps = Steps()
    resumed = weights(
        train(photos, tmp_path / "killed", ema=ema, loss=drawing(), callbacks=(steps,))
    )
    assert steps.epochs == [2, 3], "it goes on, and does not begin anew"
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    start = build_embedder(backbone="resnet10t", size=32, neck="sqrt").state_dict()
    assert any(not torch.equal(value, start[name]) for name, value in whole.items()), (
        "and they have moved"
    )
    steps = Steps()
    again = weights(train(photos, tmp_path / "killed", ema=ema, loss=drawing(), callbacks=(steps,)))
    assert not steps.epochs
    assert all(torch.equal(value, again[name]) for name, value in whole.items()), (
        "a finished run stays as it is"
    )


def test_what_is_begun_anew_does_not_go_on_from_an_older_checkpoint(
    photos: Path, tmp_path: Path
) -> None:
    train(photos, tmp_path)
    last = tmp_path / "checkpoints" / "last.ckpt"
    assert last.is_file()
    with pytest.raises(Killed):
        train(photos, tmp_path, resume=False, callbacks=(KillAtOnce(),))
    assert not last.exists()
