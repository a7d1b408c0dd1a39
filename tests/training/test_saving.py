"""Checkpoints survive kills at any moment, signals, full disks, damage, limits in an epoch."""

from __future__ import annotations

import csv
import errno
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file
from torch import Tensor

from asl.training import checkpoints
from asl.training.checkpoints import LAST, PREVIOUS, DurableCheckpoints, find_checkpoint
from asl.types import AslError
from tests.training.kill_target import train_to_the_end
from tests.training.small_training import Killed, Steps, train, weights

KILLS = int(os.environ.get("ASL_TEST_KILLS", "6"))
FOUR_BATCHES: dict[str, Any] = {"identities": 2, "max_epochs": 2}  # of eight photographs


class KillAt(Callback):
    """Raise, or send a signal, after a step."""

    def __init__(self, step: int, number: signal.Signals | None = None) -> None:
        self._step, self._number = step, number

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == self._step and self._number is not None:
            os.kill(os.getpid(), self._number)

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == self._step and self._number is None:
            raise Killed


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def step_of(output: Path, name: str = LAST) -> int:
    state = torch.load(output / "checkpoints" / name, weights_only=True)
    return int(state["global_step"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "settings"),
    [
        (1, {}),
        (4, {}),
        (4, {"max_steps": 7}),
        (6, {"max_steps": 7}),
        (3, {"accumulate_grad_batches": 2, "ema": 0.9}),
    ],
)
def test_a_training_killed_inside_an_epoch_resumes_at_the_very_batch(
    photos: Path,
    tmp_path: Path,
    step: int,
    settings: dict[str, Any],
) -> None:
    chosen = {**FOUR_BATCHES, **settings, "save_every_n_steps": 1}
    steps = Steps()
    whole = weights(train(photos, tmp_path / "whole", callbacks=(steps,), **chosen))
    with pytest.raises(Killed):
        train(photos, tmp_path / "killed", callbacks=(KillAt(step),), **chosen)
    assert step_of(tmp_path / "killed") == step
    rest = Steps()
    resumed = weights(train(photos, tmp_path / "killed", callbacks=(rest,), **chosen))
    assert equal(whole, resumed)
    batches = step * settings.get("accumulate_grad_batches", 1)
    assert len(rest.weights) == len(steps.weights) - batches, "no batch twice, none left out"


@pytest.mark.slow
def test_the_rest_of_an_epoch_that_a_limit_ended_is_trained(
    photos: Path,
    tmp_path: Path,
) -> None:
    train(photos, tmp_path, **FOUR_BATCHES, max_steps=3)
    assert step_of(tmp_path) == 3
    rest = Steps()
    train(photos, tmp_path, **FOUR_BATCHES, callbacks=(rest,))
    assert len(rest.weights) == 5
    assert step_of(tmp_path) == 8


@pytest.mark.slow
def test_a_time_limit_ends_the_training_and_more_time_resumes_it(
    photos: Path,
    tmp_path: Path,
) -> None:
    class Slow(Callback):
        def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
            time.sleep(1.2)

    train(photos, tmp_path, **FOUR_BATCHES, max_time="00:00:00:01", callbacks=(Slow(),))
    assert step_of(tmp_path) < 4
    train(photos, tmp_path, **FOUR_BATCHES, max_time="00:01:00:00")
    assert step_of(tmp_path) == 8


@pytest.mark.slow
def test_sigterm_saves_the_last_step_and_is_no_end(
    photos: Path,
    tmp_path: Path,
) -> None:
    whole = weights(train(photos, tmp_path / "whole", **FOUR_BATCHES))
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(AslError, match=r"stopped by SIGTERM at step 2.*the same command resumes"):
        train(
            photos,
            tmp_path / "stopped",
            **FOUR_BATCHES,
            callbacks=(KillAt(2, signal.SIGTERM),),
        )
    assert signal.getsignal(signal.SIGTERM) == handler
    assert step_of(tmp_path / "stopped") == 2
    assert equal(whole, weights(train(photos, tmp_path / "stopped", **FOUR_BATCHES)))


@pytest.mark.slow
def test_a_damaged_checkpoint_is_answered_by_the_previous_one(
    photos: Path,
    tmp_path: Path,
) -> None:
    output = tmp_path / "damaged"
    train(photos, output, **FOUR_BATCHES, max_steps=7, save_every_n_steps=1)
    last = output / "checkpoints" / LAST
    assert (step_of(output), step_of(output, PREVIOUS)) == (7, 6)
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.warns(UserWarning, match=r"last\.ckpt .* is damaged; resuming from previous\.ckpt"):
        train(photos, output, **FOUR_BATCHES)
    assert step_of(output) == 8
    last.unlink()
    with pytest.warns(UserWarning, match=r"last\.ckpt is missing; resuming from previous\.ckpt"):
        train(photos, output, **FOUR_BATCHES)


@pytest.mark.slow
def test_metrics_of_a_resumed_training_are_one_file_without_repetition(
    photos: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(Killed):
        train(photos, tmp_path, **FOUR_BATCHES, callbacks=(KillAt(6),))
    train(photos, tmp_path, **FOUR_BATCHES)
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows if row["train/loss"]] == [str(step) for step in range(8)]
    assert not list(tmp_path.glob("metrics-*.csv"))


def save(target: Path, value: float) -> None:
    tensor = torch.full((1000,), value)
    DurableCheckpoints().save_checkpoint({"state_dict": {"w": tensor}, "global_step": 1}, target)


def value_of(path: Path) -> float:
    return float(DurableCheckpoints().load_checkpoint(path)["state_dict"]["w"][0])


@pytest.mark.parametrize("links", [True, False])
def test_a_checkpoint_is_replaced_in_its_own_folder_and_the_previous_one_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """As where the temporary folder is on another file system: no rename crosses folders."""
    replace = os.replace

    def within_a_folder(source: Path, target: Path) -> None:
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "crosses file systems")
        replace(source, target)

    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links on this file system")

    monkeypatch.setattr(os, "replace", within_a_folder)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "not-there"))
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", no_links)
    for value in (1.0, 2.0, 3.0):
        save(tmp_path / LAST, value)
    assert (value_of(tmp_path / LAST), value_of(tmp_path / PREVIOUS)) == (3.0, 2.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LAST, PREVIOUS]


def test_a_full_disk_is_named_and_costs_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / LAST, 1.0)

    def full(value: object, file: Any) -> None:
        file.write(b"half a checkpoint")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints.torch, "save", full)
    with pytest.raises(AslError, match=rf"{tmp_path / LAST}: no space left for a checkpoint of"):
        save(tmp_path / LAST, 2.0)
    assert value_of(tmp_path / LAST) == 1.0
    assert [path.name for path in tmp_path.iterdir()] == [LAST]


def test_two_damaged_checkpoints_are_an_error(tmp_path: Path) -> None:
    assert find_checkpoint(tmp_path, {}) is None
    for name in (LAST, PREVIOUS):
        (tmp_path / name).write_bytes(b"half")
    with pytest.raises(AslError, match=r"cannot be resumed, damaged: last\.ckpt .*previous\.ckpt"):
        find_checkpoint(tmp_path, {})


@pytest.mark.slow
@pytest.mark.timeout(300 + 30 * KILLS)
def test_kills_at_random_moments_cost_no_training(
    photos: Path,
    tmp_path: Path,
) -> None:
    """ASL_TEST_KILLS=50 for a campaign; SIGKILL, temporary folder on another file system."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.kill_target"])
    shared = Path("/dev/shm")
    rng = random.Random(0)
    with pytest.MonkeyPatch.context() as patch:
        if shared.is_dir() and shared.stat().st_dev != tmp_path.stat().st_dev:
            patch.setenv("TMPDIR", str(shared))
        process = context.Process(target=time.sleep, args=(0,))
        process.start()  # the imports of the server take longer than a training
        process.join()
        begin = time.monotonic()
        expected = finish(context, photos, tmp_path / "whole")
        longest = time.monotonic() - begin
        kills, runs, moments = 0, 0, []
        while kills < KILLS:
            output = tmp_path / f"run-{runs}"
            process = context.Process(target=train_to_the_end, args=(photos, output))
            process.start()
            process.join(rng.uniform(0.2, 1.0) * longest)
            if process.exitcode is None:
                os.kill(process.pid or 0, signal.SIGKILL)
                process.join()
                kills += 1
                last = output / "checkpoints" / LAST
                moments.append(step_of(output) if last.is_file() else 0)
            else:
                assert process.exitcode == 0
                assert equal(expected, load_file(output / "final.safetensors"))
                runs += 1
        assert equal(expected, finish(context, photos, tmp_path / f"run-{runs}"))
    print(f"{kills} kills after steps {moments}, {runs} trainings ended in between")
    assert len(set(moments)) > 1, "the kills fell at different steps"


def finish(context: Any, photos: Path, output: Path) -> dict[str, Tensor]:
    process = context.Process(target=train_to_the_end, args=(photos, output))
    process.start()
    process.join(300)
    assert process.exitcode == 0
    return load_file(output / "final.safetensors")
