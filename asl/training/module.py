"""The Lightning module: a batch of tracked views -> features -> weighted losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from asl.losses import LossInputs, WeightedSum
from asl.models import Embedder
from asl.training.distributed import gather
from asl.training.schedule import OptimizerFactory, WarmupCosine, parameter_groups, scale_rates
from asl.types import AslError, UsageError


class CopyDetectionModule(L.LightningModule):
    """Trains an embedder with a weighted sum of losses on views of P sources.

    The losses see the joined batch of all processes (a differentiable gather), so one process with
    the joined batch and several with parts of it take the same step.
    """

    def __init__(
        self,
        embedder: Embedder,
        loss: WeightedSum,
        *,
        optimizer: OptimizerFactory,
        schedule: WarmupCosine | None = None,
        backbone_rate: float = 1.0,
        teacher: nn.Module | None = None,
        freeze_backbone_norm: bool = False,
        freeze: Sequence[str] = (),
        channels_last: bool = True,
    ) -> None:
        """Hold the parts.

        Args:
            embedder: images -> un-normalised features.
            loss: named, weighted losses.
            optimizer: parameter groups -> optimiser (a ``functools.partial``).
            schedule: of the learning rate; constant where None.
            backbone_rate: factor on the backbone's learning rate.
            teacher: a frozen embedder for distillation; its features reach the losses as
                ``teacher``.
            freeze_backbone_norm: keep the backbone's batch-norm statistics as they were pretrained.
            freeze: parts of the embedder that stay as they are, statistics included, e.g.
                ``backbone`` and ``neck.neck`` for a norm head on somebody else's features.
            channels_last: memory layout of the network, faster for convolutions.
        """
        super().__init__()
        self.embedder = embedder
        self.loss = loss
        self._optimizer, self._schedule, self._backbone_rate = optimizer, schedule, backbone_rate
        self._frozen_norm, self._channels_last = freeze_backbone_norm, channels_last
        # In a tuple it is no submodule: it is neither trained, nor averaged, nor saved.
        self._teacher = (teacher.eval().requires_grad_(False),) if teacher is not None else ()
        self.failed: dict[str, str] = {}
        self._frozen = [_part_of(embedder, name).requires_grad_(False) for name in freeze]
        if channels_last:
            self.embedder.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """uint8 ``[B, 3, H, W]`` -> un-normalised features ``[B, D]``."""
        features: Tensor = self.embedder(images)
        return features

    def training_step(self, batch: dict[str, Any], batch_index: int) -> Tensor:
        """One weighted loss; its parts are logged as ``train/<name>``.

        Raises:
            AslError: the loss is not finite; the part is named.
        """
        self.failed.update(batch["failed"])
        inputs = gather(self, self._loss_inputs(batch))
        # In 16 bits 2 - 2 cos is 0 for what is nearly alike, which is what these losses are about.
        with torch.autocast(self.device.type, enabled=False):
            total, parts = self.loss(inputs)
        self._refuse_non_finite(parts)
        self.log_dict(
            {f"train/{name}": value.detach() for name, value in parts.items()},
            batch_size=len(inputs.source),
        )
        self.log("train/loss", total.detach(), prog_bar=True, batch_size=len(inputs.source))
        result: Tensor = total
        return result

    def _loss_inputs(self, batch: dict[str, Any]) -> LossInputs:
        images = batch["images"]
        if self._channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        wants_tokens = batch["overlaps"] is not None
        features, tokens = (
            self.embedder.tokens(images) if wants_tokens else (self.embedder(images), None)
        )
        teacher = None
        if self._teacher:
            with torch.no_grad():
                teacher = self._teacher[0].to(self.device)(images).float()
        return LossInputs(
            features=features.float(),
            source=batch["source"],
            content=batch["content"],
            view=batch["view"],
            tokens=None if tokens is None else tokens.float(),
            overlaps=batch["overlaps"],
            pair_index=batch["pair_index"],
            pair_directed=batch["pair_directed"],
            teacher=teacher,
        )

    def _refuse_non_finite(self, parts: dict[str, Tensor]) -> None:
        bad = [name for name, value in parts.items() if not bool(torch.isfinite(value))]
        if bad:
            raise AslError(
                f"training: the loss part(s) {', '.join(bad)} are not finite at step {self.global_step}; lower "
                "optim.lr, set trainer.gradient_clip_val, or use trainer.precision=32-true; the last checkpoint is intact"
            )

    def on_train_epoch_start(self) -> None:
        """Keep what is frozen, and the backbone's batch-norm where that is asked for, in evaluation mode."""
        for frozen in self._frozen:
            frozen.eval()
        if self._frozen_norm:
            for part in self.embedder.backbone.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    part.eval()

    def configure_optimizers(self) -> Any:
        """The optimiser over parameter groups, and the schedule stepped after every step."""
        groups = parameter_groups(self.embedder, self.loss, backbone_rate=self._backbone_rate)
        optimizer: Optimizer = self._optimizer(groups)
        scale_rates(optimizer)
        if self._schedule is None:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = self._schedule.attach(optimizer, steps=steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def _part_of(embedder: nn.Module, name: str) -> nn.Module:
    try:
        return embedder.get_submodule(name)
    except AttributeError as error:
        known = ", ".join(part for part, _ in embedder.named_children())
        raise UsageError(
            f"freeze: the embedder has no part {name!r}; it has {known} and what is inside"
        ) from error
