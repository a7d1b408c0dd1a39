"""Training images for Lightning: one loader per epoch, fed by several processes."""

from __future__ import annotations

from typing import Any

import cv2
import lightning as L
import torch
from torch.utils.data import DataLoader

from asl.data.batch_sampler import IdentityBatches, Position
from asl.data.training_set import Draw, HardPairs, TrainingSet, collate


class CopyDataModule(L.LightningDataModule):
    """Batches of P identities times K views, the same for any number of worker processes.

    Every epoch has a loader of its own (``reload_dataloaders_every_n_epochs=1``), so that a resumed
    run continues with the batches that an uninterrupted one would have had.

    Attributes:
        start: batch to begin with in the epoch that is resumed; None starts every epoch whole.
    """

    def __init__(
        self,
        training: TrainingSet,
        *,
        identities: int,
        hard_pairs: HardPairs | None = None,
        pairs: int = 0,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        """Plan the loaders.

        Args:
            training: the images and how views are made of them.
            identities: sources in a batch of one process.
            hard_pairs: look-alikes among the training images.
            pairs: hard pairs in a batch of one process.
            workers: processes that make views; 0 makes them in this one.
            seed: of the order.
        """
        super().__init__()
        self.training = training
        self.hard_pairs = hard_pairs
        self.seed = seed
        self.start: Position | None = None
        self._identities = identities
        self._pairs = pairs
        self._workers = workers

    def first_draws(self) -> list[Draw]:
        """Return the sources of the first batch of the first epoch, in its order."""
        return next(iter(self._batches(0)))

    def _batches(self, epoch: int) -> IdentityBatches:
        trainer = self.trainer
        resumed = self.start is not None and self.start.epoch == epoch
        return IdentityBatches(
            len(self.training),
            identities=self._identities,
            epoch=epoch,
            seed=self.seed,
            hard_pairs=self.hard_pairs,
            pairs=self._pairs,
            rank=trainer.global_rank if trainer else 0,
            world=trainer.world_size if trainer else 1,
            start=self.start.batch if self.start and resumed else 0,
        )

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Return the batches of the trainer's current epoch."""
        batches = self._batches(self.trainer.current_epoch if self.trainer else 0)
        return DataLoader(
            self.training,
            batch_sampler=batches,
            num_workers=self._workers,
            collate_fn=collate,
            worker_init_fn=_one_thread if self._workers else None,
            pin_memory=torch.cuda.is_available(),
            prefetch_factor=4 if self._workers else None,
        )


def _one_thread(_: int) -> None:
    # One thread per worker: OpenCV's own threads would compete for the same cores.
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
