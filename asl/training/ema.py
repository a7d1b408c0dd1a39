"""Exponential moving average of the embedder's weights: evaluated in validation and saved."""

from __future__ import annotations

from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from asl.models import Embedder
from asl.types import UsageError


class AveragedEmbedder(Callback):
    """Keep the average on the training device, with one update an optimiser step.

    Lightning's own callback also averages the losses (a class layer may have more weights than the
    network), and keeps the average on the CPU, where the module was before the trainer moved it.
    """

    def __init__(self, decay: float) -> None:
        """Set the decay a step.

        Raises:
            UsageError: the decay is not between 0 and 1.
        """
        if not 0 < decay < 1:
            raise UsageError(
                f"trainer.ema: must be above 0 and below 1, got {decay}; 0 turns it off"
            )
        self._decay = decay
        self._step = 0
        self._average: AveragedModel | None = None

    @property
    def embedder(self) -> Embedder:
        """Return the average as a network of its own, buffers included."""
        assert self._average is not None, "there is an average from setup on"
        return cast(Embedder, self._average.module)

    def setup(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:
        """Start from a copy of the weights."""
        self._average = AveragedModel(
            cast(Embedder, module.embedder),
            device=trainer.strategy.root_device,
            multi_avg_fn=get_ema_multi_avg_fn(self._decay),  # type: ignore[no-untyped-call]
            use_buffers=True,
        )

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Update after an optimiser step, which several batches may share."""
        if trainer.global_step > self._step:
            assert self._average is not None
            self._average.update_parameters(cast(Embedder, module.embedder))
            self._step = trainer.global_step

    def copy_to(self, embedder: Embedder) -> None:
        """Copy the average into an embedder of the same architecture."""
        with torch.no_grad():
            embedder.load_state_dict(self.embedder.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Return the average, for the checkpoint."""
        assert self._average is not None
        return {"step": self._step, "average": self._average.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the average of a checkpoint."""
        assert self._average is not None
        self._step = state_dict["step"]
        self._average.load_state_dict(state_dict["average"])
