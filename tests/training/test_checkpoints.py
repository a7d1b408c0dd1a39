"""Checkpoint files survive full disks and damage; those of another model are refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from asl.training import checkpoints
from asl.training.checkpoints import (
    DAMAGED,
    LAST,
    PREVIOUS,
    DurableCheckpoints,
    delete_checkpoints,
    find_checkpoint,
    has_checkpoint,
    set_damaged_aside,
)
from asl.types import AslError
from tests.training.small_training import (
    FOUR_BATCHES,
    step_of,
    train,
)


def test_a_checkpoint_of_another_model_is_refused(photos: Path, tmp_path: Path) -> None:
    train(photos, tmp_path, max_steps=1)
    last = tmp_path / "checkpoints" / "last.ckpt"
    state = torch.load(last, weights_only=True)
    state["state_dict"]["embedder.neck.strange"] = torch.zeros(1)
    torch.save(state, last)
    with pytest.raises(AslError, match="belongs to another model"):
        train(photos, tmp_path)
    last.write_bytes(b"half a checkpoint")
    with pytest.raises(AslError, match="cannot be resumed"):
        train(photos, tmp_path)


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


def test_a_damaged_checkpoint_is_set_aside_and_all_are_deleted(tmp_path: Path) -> None:
    assert not has_checkpoint(tmp_path)
    save(tmp_path / LAST, 1.0)
    save(tmp_path / LAST, 2.0)
    set_damaged_aside(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [DAMAGED, PREVIOUS]
    assert has_checkpoint(tmp_path), "the previous one"
    delete_checkpoints(tmp_path)
    assert not list(tmp_path.iterdir())
