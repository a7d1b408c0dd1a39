"""Lightning module: a batch of tracked views -> features -> weighted losses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from asl.losses import LossInputs, WeightedSum
from asl.models import Embedder
from asl.training.distributed import gather
from asl.training.schedule import OptimizerFactory, WarmupCosine, parameter_groups, scale_rates
from asl.training.sharded_classes import ShardedClasses, clip
from asl.types import AslError, UsageError


class CopyDetectionModule(L.LightningModule):
    """Train an embedder with a weighted sum of losses on views of P sources.

    The losses see the joined batch of all processes (a differentiable gather), so one process with
    the joined batch and several with parts of it take the same step.

    Attributes:
        embedder: the network that is trained.
        loss: weighted losses, with class weights and memories where they have any.
        failed: id -> reason of the training images that could not be used so far.
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
        groups: Tensor | None = None,
        freeze_backbone_norm: bool = False,
        freeze: Sequence[str] = (),
        channels_last: bool = True,
    ) -> None:
        """Join the parts.

        Args:
            embedder: images -> un-normalised features.
            loss: named, weighted losses; class weights of those built with ``sharded=True`` are
                split over the processes.
            optimizer: parameter groups -> optimiser (a ``functools.partial``).
            schedule: of the learning rate; constant where None.
            backbone_rate: factor on the backbone's learning rate.
            teacher: a frozen embedder for distillation; its features reach the losses as
                ``teacher``.
            groups: int64 ``[N]`` group of each training image; images of one group are no negatives
                of each other. None: each is its own group.
            freeze_backbone_norm: keep the backbone's batch-norm statistics as they were pretrained.
            freeze: parts of the embedder that are not trained, statistics included, e.g.
                ``backbone`` and ``neck.neck`` for a norm head on given features.
            channels_last: memory layout of the network, faster for convolutions.

        Raises:
            UsageError: ``freeze`` names a part that the embedder does not have.
        """
        super().__init__()
        self.embedder = embedder
        self.loss = loss
        self.failed: dict[str, str] = {}
        self.groups: Tensor | None
        self._embed = embedder.tokens
        self._optimizer = optimizer
        self._schedule = schedule
        self._backbone_rate = backbone_rate
        self._frozen_norm = freeze_backbone_norm
        self._channels_last = channels_last
        self._shards = ShardedClasses(loss)
        # In a tuple it is no submodule: it is neither trained, nor averaged, nor saved.
        self._teacher = (teacher.eval().requires_grad_(False),) if teacher is not None else ()
        self.register_buffer("groups", groups, persistent=False)
        self._frozen = [_part_of(embedder, name).requires_grad_(False) for name in freeze]
        if channels_last:
            self.embedder.to(memory_format=torch.channels_last)

    def compile_embedder(self) -> None:
        """Compile the network, with and without its patch features, for training."""
        self._embed = torch.compile(self.embedder.tokens)

    def forward(self, images: Tensor) -> Tensor:
        """Embed uint8 ``[B, 3, H, W]``; un-normalised features ``[B, D]``."""
        features: Tensor = self.embedder(images)
        return features

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Compute the weighted loss; its parts are logged as ``train/<name>``.

        Raises:
            AslError: the loss is not finite; the part is named.
        """
        self.failed.update(batch["failed"])
        inputs = gather(self, self._loss_inputs(batch))
        inputs = replace(inputs, groups=self.groups)
        # In 16 bits, and in TF32, 2 - 2 cos is 0 for near duplicates, which these losses are about.
        with torch.autocast(self.device.type, enabled=False), _full_precision():
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
        features, tokens = self._embed(images)
        teacher = None
        if self._teacher:
            with torch.no_grad():
                teacher = self._teacher[0].to(self.device)(images).float()
        return LossInputs(
            features=features.float(),
            source=batch["source"],
            content=batch["content"],
            view=batch["view"],
            tokens=tokens.float() if batch["overlaps"] is not None else None,
            overlaps=batch["overlaps"],
            pair_index=batch["pair_index"],
            pair_directed=batch["pair_directed"],
            teacher=teacher,
        )

    def _refuse_non_finite(self, parts: dict[str, Tensor]) -> None:
        bad = [name for name, value in parts.items() if not bool(torch.isfinite(value))]
        if bad:
            raise AslError(
                f"training: the loss part(s) {', '.join(bad)} are not finite at step "
                f"{self.global_step}; lower optim.lr, set trainer.gradient_clip_val, or use "
                "trainer.precision=32-true; the last checkpoint is intact"
            )

    def on_train_start(self) -> None:
        """Set modes; a training resumed inside an epoch has no start of that epoch."""
        self._freeze_modes()

    def on_train_epoch_start(self) -> None:
        """Set modes for the epoch."""
        self._freeze_modes()

    def _freeze_modes(self) -> None:
        """Put frozen parts into evaluation mode, and the backbone's batch norms where asked for."""
        for frozen in self._frozen:
            frozen.eval()
        if self._frozen_norm:
            for part in self.embedder.backbone.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    part.eval()

    def setup(self, stage: str) -> None:
        """Keep this process's share of the class weights, which DDP must not synchronise."""
        self._shards.keep(self.trainer.global_rank, self.trainer.world_size)
        if self._shards.split:
            self._ddp_params_and_buffers_to_ignore = self._shards.names()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save split class weights whole."""
        if self._shards.split:
            self._shards.gather(checkpoint, self._optimized())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take this process's share of the class weights."""
        if self._shards.split:
            self._shards.scatter(checkpoint, self._optimized())

    def _groups_of_parameters(self) -> list[dict[str, Any]]:
        return parameter_groups(self.embedder, self.loss, backbone_rate=self._backbone_rate)

    def _optimized(self) -> list[nn.Parameter]:
        """Return the trained parameters in the order of the optimiser."""
        return [weight for group in self._groups_of_parameters() for weight in group["params"]]

    def gradient_norm(self) -> Tensor:
        """Compute the norm of the gradient of all trained parameters, in all processes."""
        return self._shards.gradient_norm(self._optimized())

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the norm of all gradients, which must be the same in every process."""
        if self._shards.split and gradient_clip_val and gradient_clip_algorithm != "value":
            clip(self._optimized(), self.gradient_norm(), largest=gradient_clip_val)
            return
        self.clip_gradients(
            optimizer,
            gradient_clip_val=gradient_clip_val,
            gradient_clip_algorithm=gradient_clip_algorithm,
        )

    def configure_optimizers(self) -> Any:
        """Return the optimiser over parameter groups, and the schedule stepped after every step."""
        groups = self._groups_of_parameters()
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


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _part_of(embedder: nn.Module, name: str) -> nn.Module:
    try:
        return embedder.get_submodule(name)
    except AttributeError as error:
        known = ", ".join(part for part, _ in embedder.named_children())
        raise UsageError(
            f"trainer.freeze: the embedder has no part {name!r}; choose from {known}, or a part of "
            "these, e.g. neck.neck"
        ) from error
