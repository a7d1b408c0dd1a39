"""The loader of an epoch gives the batches of that epoch, for any number of workers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import torch

from asl.data.catalog import open_catalog
from asl.data.datamodule import CopyDataModule
from asl.data.training_set import TrainingSet, ViewPlan
from asl.edits.geometric import Crop


def batches(photos: Path, *, epoch: int, workers: int) -> list[dict[str, torch.Tensor]]:
    plan = ViewPlan(Crop(area=(0.4, 0.9), aspect=(0.7, 1.4)), views=2, sizes={0: 32})
    module = CopyDataModule(
        TrainingSet(open_catalog(photos), plan), identities=3, workers=workers, seed=5
    )
    module.trainer = SimpleNamespace(current_epoch=epoch, global_rank=0, world_size=1)  # type: ignore[assignment]
    return list(module.train_dataloader())


def test_workers_change_nothing_and_epochs_differ(photos: Path) -> None:
    one = batches(photos, epoch=0, workers=0)
    two = batches(photos, epoch=0, workers=2)
    assert len(one) == 2
    for first, second in zip(one, two, strict=True):
        assert torch.equal(first["images"], second["images"])
        assert torch.equal(first["source"], second["source"])
    other = batches(photos, epoch=1, workers=0)
    assert not torch.equal(other[0]["images"], one[0]["images"])
