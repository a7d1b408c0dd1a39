"""Checkpoint files: written atomically, with the previous one kept in case the last is damaged."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from torch import Tensor

from asl.counts import counted
from asl.data.batch_sampler import Position
from asl.storage import ReadError, atomic_path, read_errors
from asl.storage.writing import WriteError
from asl.types import AslError

LAST = "last.ckpt"
PREVIOUS = "previous.ckpt"
DAMAGED = "damaged.ckpt"


class DurableCheckpoints(CheckpointIO):
    """Write checkpoints beside their target, fsync, rename; keep the previous one.

    At any moment the target is the old or the new checkpoint, whole. Lightning's own plugin writes
    into the temporary folder and moves: across file systems, a copy over the only checkpoint.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint; the one that it replaces becomes ``previous.ckpt``.

        Args:
            checkpoint: plain values and tensors.
            path: target, e.g. ``checkpoints/last.ckpt``.
            storage_options: Lightning's; not used.

        Raises:
            AslError: the file system is full or refuses to write; the target is as before.
        """
        target = Path(path)
        try:
            with atomic_path(target) as temporary:
                with temporary.open("wb") as file:
                    torch.save(checkpoint, file)
                _keep_previous(target)
        except (WriteError, RuntimeError) as error:
            raise _write_error(target, checkpoint, error) from error

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint as data: it cannot run code, whatever ``weights_only`` says."""
        return read_checkpoint(Path(path), map_location=map_location)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def read_checkpoint(path: Path, *, map_location: Any | None = None) -> dict[str, Any]:
    """Read a checkpoint as data, and compare every part with the CRC-32 that torch wrote.

    Raises:
        ReadError: the file is missing or damaged.
    """
    with read_errors(path, "resume from another checkpoint"):
        with zipfile.ZipFile(path) as archive:
            if (damaged := archive.testzip()) is not None:
                raise ValueError(f"the checksum of {damaged} differs")
        state: dict[str, Any] = torch.load(
            path, map_location=map_location or "cpu", weights_only=True, mmap=True
        )
        if not isinstance(state.get("state_dict"), Mapping):
            raise ValueError("it holds no state_dict")
        return state


def _keep_previous(target: Path) -> None:
    """Give the file a second name; where the file system has no hard links, rename it."""
    if not target.is_file():
        return
    previous = target.with_name(PREVIOUS)
    link = target.with_name(f".{PREVIOUS}.link")
    link.unlink(missing_ok=True)
    try:
        link.hardlink_to(target)
    except OSError:
        target.replace(previous)
        return
    link.replace(previous)


def _write_error(target: Path, checkpoint: Mapping[str, Any], error: Exception) -> AslError:
    needed = _tensor_bytes(checkpoint)
    free = shutil.disk_usage(target.parent).free
    if (isinstance(error, WriteError) and error.disk_full) or free < needed:
        gib = 2**30
        return AslError(
            f"{target}: no space left for a checkpoint of {needed / gib:.2f} GiB "
            f"({free / gib:.2f} GiB free); free some and start the same command again"
        )
    if isinstance(error, WriteError):
        return error
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return AslError(f"{target}: the checkpoint cannot be written ({reason}); check the disk")


def _tensor_bytes(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, Mapping):
        return sum(_tensor_bytes(part) for part in value.values())
    if isinstance(value, list | tuple):
        return sum(_tensor_bytes(part) for part in value)
    return 0


@dataclass(frozen=True)
class ResumePoint:
    """A checkpoint to resume from.

    Attributes:
        path: its file.
        step: optimiser steps done.
        position: the next batch.
        warning: what is wrong with the last checkpoint; empty where it is this one.
    """

    path: Path
    step: int
    position: Position
    warning: str


def find_checkpoint(folder: Path, shapes: Mapping[str, torch.Size]) -> ResumePoint | None:
    """Find the checkpoint to resume from: the last one, or the previous one if that is damaged.

    Args:
        folder: of the checkpoints.
        shapes: name -> shape of every tensor of the module to be resumed.

    Returns:
        None without a checkpoint.

    Raises:
        AslError: every checkpoint is damaged, or it belongs to another model.
    """
    damaged: list[str] = []
    for path in (folder / LAST, folder / PREVIOUS):
        if not path.is_file():
            continue
        try:
            state = read_checkpoint(path)
        except ReadError as error:
            reason = str(error).removeprefix(f"{path}: ")
            damaged.append(f"{path.name} ({reason.splitlines()[0][:120]})")
            continue
        _check_shapes(path, state["state_dict"], shapes)
        missing_last = path.name == PREVIOUS and not damaged
        reason = f"{LAST} is missing" if missing_last else f"{'; '.join(damaged)} is damaged"
        step = int(state["global_step"])
        warning = f"{folder}: {reason}; resuming from {path.name}, step {step}"
        position = state.get("position", {"epoch": state["epoch"] + 1, "batch": 0})
        unusual = damaged or missing_last
        return ResumePoint(path, step, Position(**position), warning if unusual else "")
    if damaged:
        raise AslError(
            f"{folder}: cannot be resumed, damaged: {'; '.join(damaged)}; delete the folder or "
            "choose another output"
        )
    return None


def _check_shapes(
    path: Path, tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]
) -> None:
    stored = {name: value.shape for name, value in tensors.items()}
    different = sorted(
        name for name in shapes.keys() | stored.keys() if shapes.get(name) != stored.get(name)
    )
    if different:
        raise AslError(
            f"{path}: belongs to another model or loss "
            f"({counted(len(different), 'tensor differs', 'tensors differ')}, e.g. "
            f"{different[0]}); choose another output or set resume=false"
        )


def has_checkpoint(folder: Path) -> bool:
    """Tell whether a folder holds a checkpoint, damaged or not."""
    return (folder / LAST).is_file() or (folder / PREVIOUS).is_file()


def set_damaged_aside(folder: Path) -> None:
    """Rename a damaged ``last.ckpt``, which the next save would keep as the previous one."""
    if (folder / LAST).is_file():
        (folder / LAST).replace(folder / DAMAGED)


def delete_checkpoints(folder: Path) -> None:
    """Delete all checkpoints of a folder."""
    for name in (LAST, PREVIOUS, DAMAGED):
        (folder / name).unlink(missing_ok=True)
