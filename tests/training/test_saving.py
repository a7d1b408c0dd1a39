"""A training survives kills at any moment, signals, and limits in an epoch."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import lightning as L
import pytest
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file
from torch import Tensor

from asl.training.checkpoints import LAST
from asl.types import AslError
from tests.training.kill_target import train_and_stop, train_to_the_end
from tests.training.process_group import fork_server, run_group
from tests.training.small_training import (
    FOUR_BATCHES,
    KillAt,
    Killed,
    Steps,
    equal,
    step_of,
    train,
    weights,
)

KILLS = int(os.environ.get("ASL_TEST_KILLS", "6"))


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
@pytest.mark.timeout(300 + 30 * KILLS)
def test_kills_at_random_moments_cost_no_training(
    photos: Path,
    tmp_path: Path,
) -> None:
    """ASL_TEST_KILLS=50 for a campaign; SIGKILL, temporary folder on another file system.

    Half of the kills wait for a checkpoint that is being written.
    """
    context = fork_server()
    shared = Path("/dev/shm")
    rng = random.Random(0)
    with pytest.MonkeyPatch.context() as patch:
        if shared.is_dir() and shared.stat().st_dev != tmp_path.stat().st_dev:
            patch.setenv("TMPDIR", str(shared))
        begin = time.monotonic()
        expected = finish(context, photos, tmp_path / "whole")
        longest = time.monotonic() - begin
        runs, moments, in_writes = 0, [], 0
        while len(moments) < KILLS:
            output = tmp_path / f"run-{runs}"
            process = context.Process(target=train_to_the_end, args=(photos, output))
            process.start()
            process.join(rng.uniform(0.0, 1.0) * longest)
            if len(moments) % 2:
                wait_for_a_write(process, output / "checkpoints")
                time.sleep(rng.uniform(0.0, 0.02))
            if process.exitcode is None:
                os.kill(process.pid or 0, signal.SIGKILL)
                process.join()
                in_writes += bool(unfinished_write(process, output / "checkpoints"))
                last = output / "checkpoints" / LAST
                moments.append(step_of(output) if last.is_file() else 0)
            else:
                assert process.exitcode == 0
                assert equal(expected, load_file(output / "final.safetensors"))
                runs += 1
        assert equal(expected, finish(context, photos, tmp_path / f"run-{runs}"))
    print(
        f"{KILLS} kills after steps {moments}, {in_writes} while a checkpoint was written, "
        f"{runs} trainings ended in between"
    )
    assert len(set(moments)) > 1, "the kills fell at different steps"
    assert in_writes, "some kills fell into the write of a checkpoint"


@pytest.mark.slow
def test_sigterm_to_any_of_two_processes_saves_once_and_the_run_resumes(
    photos: Path, tmp_path: Path
) -> None:
    context = fork_server()
    assert run_group(context, train_and_stop, photos, tmp_path / "whole", ()) == [0, 0]
    expected = load_file(tmp_path / "whole" / "final.safetensors")
    for stopped in ((0,), (1,), (0, 1)):
        output = tmp_path / f"stopped-{stopped}"
        assert run_group(context, train_and_stop, photos, output, stopped) == [1, 1]
        assert (output / "writes-0.txt").read_text() == "1\n", "one write, of the first step"
        assert not (output / "writes-1.txt").exists()
        assert step_of(output) == 1
        assert run_group(context, train_and_stop, photos, output, ()) == [0, 0]
        assert (output / "writes-0.txt").read_text() == "1\n2\n4\n"
        assert equal(expected, load_file(output / "final.safetensors"))


def unfinished_write(process: Any, folder: Path) -> list[Path]:
    return list(folder.glob(f".{LAST}.*-{process.pid}-*.part"))


def wait_for_a_write(process: Any, folder: Path) -> None:
    while process.exitcode is None and not unfinished_write(process, folder):
        time.sleep(0.001)


def finish(context: Any, photos: Path, output: Path) -> dict[str, Tensor]:
    process = context.Process(target=train_to_the_end, args=(photos, output))
    process.start()
    process.join(300)
    assert process.exitcode == 0
    return load_file(output / "final.safetensors")
