"""Lightning's trainer gets the settings under their own names; further ones are checked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy

from asl.console.schemas.train_config import FitSettings
from asl.training.checkpoints import (
    DurableCheckpoints,
)
from asl.training.lightning_trainer import check_gpu, make_trainer, trainer_extra
from asl.types import UsageError


def made(**settings: Any) -> L.Trainer:
    chosen = FitSettings(**{"accelerator": "cpu", "enable_progress_bar": False, **settings})
    return make_trainer(chosen, loggers=False, callbacks=[])


def test_settings_reach_the_trainer() -> None:
    trainer = made(max_epochs=3, max_steps=7, accumulate_grad_batches=2, gradient_clip_val=0.5)
    assert (trainer.max_epochs, trainer.max_steps) == (3, 7)
    assert (trainer.accumulate_grad_batches, trainer.gradient_clip_val) == (2, 0.5)
    assert made(gradient_clip_val=0.0).gradient_clip_val is None, "0 is no clipping"
    assert made(extra={"limit_train_batches": 5}).limit_train_batches == 5


def test_checkpoints_are_written_durably_and_processes_wait_for_a_check() -> None:
    trainer = made(strategy="ddp")
    assert isinstance(trainer.strategy.checkpoint_io, DurableCheckpoints)
    assert isinstance(trainer.strategy, DDPStrategy)
    assert trainer.strategy._timeout >= timedelta(hours=12)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "max_epochs",
            r"trainer\.extra\.max_epochs: has a key of its own; set trainer\.max_epochs=",
        ),
        ("callbacks", r"trainer\.extra\.callbacks: is set by asl itself; leave it out"),
        ("determinstic", r"did you mean trainer\.extra\.deterministic"),
    ],
)
def test_further_arguments_must_be_lightning_s_own(name: str, message: str) -> None:
    assert trainer_extra({"deterministic": True}) == {"deterministic": True}
    with pytest.raises(UsageError, match=message):
        trainer_extra({name: 1})


@pytest.mark.parametrize(
    "settings", [{"precision": "float8"}, {"accelerator": "abacus"}, {"strategy": "luck"}]
)
def test_what_lightning_refuses_is_wrong_use(settings: dict[str, str]) -> None:
    (value,) = settings.values()
    with pytest.raises(UsageError, match=f"^trainer: cannot be made of these keys .*{value}"):
        made(**settings)


def test_a_gpu_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    check_gpu("auto")
    for accelerator in ("gpu", "cuda"):
        with pytest.raises(UsageError, match=f"^trainer.accelerator: {accelerator}, and PyTorch"):
            check_gpu(accelerator)
