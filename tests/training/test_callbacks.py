"""Seeds of every batch, the rate of images, the norm of the gradient."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from asl.training import callbacks
from asl.training.callbacks import SeededSteps, TrainingRate
from tests.training.small_training import train


def drawn(seed: int, epoch: int, batch: int) -> list[float]:
    torch.randn(epoch + 3 * batch)  # what was drawn before must not matter
    trainer: Any = SimpleNamespace(current_epoch=epoch)
    module: Any = None
    SeededSteps(seed).on_train_batch_start(trainer, module, None, batch)
    return torch.rand(3).tolist()


def test_every_batch_draws_its_own_numbers_and_the_same_again() -> None:
    places = [(seed, epoch, batch) for seed in (0, 1) for epoch in (0, 1) for batch in (0, 1)]
    first = [drawn(*place) for place in places]
    assert first == [drawn(*place) for place in reversed(places)][::-1]
    assert len({tuple(numbers) for numbers in first}) == len(places)


def test_the_rate_counts_the_views_of_all_processes_since_the_epoch_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([10.0, 12.0, 14.0, 20.0, 21.0])
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: next(clock))
    logged: list[float] = []
    module: Any = SimpleNamespace(log=lambda name, value, **_: logged.append(value))
    trainer: Any = SimpleNamespace(world_size=2)
    rate = TrainingRate()
    rate.on_train_epoch_start(trainer, module)
    for number in range(2):
        rate.on_train_batch_end(trainer, module, None, {"images": [0] * 6}, number)
    rate.on_train_epoch_start(trainer, module)
    rate.on_train_batch_end(trainer, module, None, {"images": [0] * 6}, 0)
    assert logged == [6.0, 6.0, 12.0]


def test_the_norm_of_the_gradient_is_logged_before_it_is_clipped(
    photos: Path, tmp_path: Path
) -> None:
    norms = []

    class Own(Callback):
        def on_before_optimizer_step(self, *arguments: Any) -> None:
            gradients = [p.grad for p in arguments[1].parameters() if p.grad is not None]
            norms.append(float(torch.linalg.vector_norm(torch.cat([g.ravel() for g in gradients]))))

    chosen = {"identities": 4, "max_epochs": 2, "gradient_clip_val": 1e-3}
    train(photos, tmp_path, callbacks=(Own(),), log_every_n_steps=2, **chosen)
    with (tmp_path / "metrics.csv").open(newline="") as file:
        logged = [row["gradient_norm"] for row in csv.DictReader(file) if row["gradient_norm"]]
    assert len(norms) == 4
    assert [float(value) for value in logged] == pytest.approx(norms[1::2], rel=1e-5)
    assert min(norms) > 1e-3


@pytest.mark.parametrize(("every", "steps"), [(100, [3]), (3, [2, 3]), (2, [1, 3])])
def test_the_last_step_has_a_row_whatever_the_interval(
    photos: Path, tmp_path: Path, every: int, steps: list[int]
) -> None:
    train(photos, tmp_path, log_every_n_steps=every, identities=4, max_epochs=2)
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows if row["train/loss"]] == steps
    assert all(float(row["images_per_s"]) > 0 for row in rows)
