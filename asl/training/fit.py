"""Run a training: trainer, loggers, checkpoints, averaging, progress; resume from the last epoch's end."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from asl.data.datamodule import CopyDataModule
from asl.training.callbacks import SeededSteps, SourceRate
from asl.training.distributed import TimmSyncBatchNorm
from asl.training.ema import AveragedEmbedder
from asl.training.module import CopyDetectionModule
from asl.types import AslError


@dataclass
class FitSettings:
    """How the training loop runs; everything here is Lightning's own.

    Attributes:
        epochs: passes over the training images.
        accelerator: ``auto``, ``cpu``, ``gpu``.
        devices: how many, which (``[0,2]``), or ``auto`` for all; several want ``strategy: ddp``.
        strategy: ``auto``, ``ddp`` ...
        num_nodes: machines (started by torchrun or Slurm).
        precision: ``32-true``, ``bf16-mixed`` ...; depthwise networks train faster in 32-true on a
            CPU.
        accumulate: batches per optimiser step.
        clip: largest gradient norm; 0 leaves it alone.
        ema: decay of the average of the weights that is saved in the end; 0 turns it off.
        sync_batchnorm: batch statistics over all processes (GPU only).
        compile: ``torch.compile`` the embedder.
        log_every: steps between two rows of the log.
        max_steps: stop early; -1 never.
        progress: show a progress bar.
    """

    epochs: int = 10
    accelerator: str = "auto"
    devices: Any = 1
    strategy: str = "auto"
    num_nodes: int = 1
    precision: str = "32-true"
    accumulate: int = 1
    clip: float = 1.0
    ema: float = 0.0
    sync_batchnorm: bool = False
    compile: bool = False
    log_every: int = 10
    max_steps: int = -1
    progress: bool = True


def fit(
    module: CopyDetectionModule,
    data: CopyDataModule,
    settings: FitSettings,
    *,
    output: Path,
    seed: int = 0,
    resume: bool = True,
    callbacks: tuple[Callback, ...] = (),
) -> CopyDetectionModule:
    """Train; the module's embedder holds the (averaged) weights afterwards.

    Args:
        module: embedder and losses.
        data: the training images.
        settings: of the loop.
        output: gets ``checkpoints/last.ckpt`` after every epoch, ``logs/`` (TensorBoard) and
            ``metrics.csv``.
        seed: of everything random.
        resume: go on from ``output/checkpoints/last.ckpt`` where there is one; on a CPU the weights
            end up bit-identical to those of an uninterrupted run.
        callbacks: more of Lightning's callbacks.

    Raises:
        AslError: the loss stopped being finite, or a checkpoint does not fit the model.
    """
    L.seed_everything(seed, workers=True, verbose=False)
    torch.set_float32_matmul_precision("high")
    if settings.compile:
        module.embedder.compile()
    averaged = AveragedEmbedder(settings.ema) if settings.ema else None
    trainer = L.Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        strategy=settings.strategy,
        num_nodes=settings.num_nodes,
        precision=settings.precision,  # type: ignore[arg-type]
        max_epochs=settings.epochs,
        max_steps=settings.max_steps,
        accumulate_grad_batches=settings.accumulate,
        gradient_clip_val=settings.clip or None,
        plugins=[TimmSyncBatchNorm()] if settings.sync_batchnorm else None,
        use_distributed_sampler=False,  # IdentityBatches deals batches to the processes itself
        reload_dataloaders_every_n_epochs=1,
        log_every_n_steps=settings.log_every,
        logger=[
            CSVLogger(output, name="", version=""),
            TensorBoardLogger(output, name="logs", version=""),
        ],
        callbacks=[
            *_callbacks(settings, output, seed),
            *([averaged] if averaged else []),
            *callbacks,
        ],
        enable_progress_bar=settings.progress,
        enable_model_summary=False,
    )
    last = output / "checkpoints" / "last.ckpt"
    first = getattr(rank_zero_only, "rank", 0) == 0
    if resume and last.is_file():
        _check_resumable(last, module)
    elif first:
        last.unlink(
            missing_ok=True
        )  # begun anew, and killed before its first epoch's end, it must not go on there
    if first:
        _keep_metrics(output)
    with warnings.catch_warnings():
        for folder in ("Experiment logs", "Checkpoint"):  # they hold what is gone on from
            warnings.filterwarnings("ignore", message=f"{folder} directory")
        # weights_only: a checkpoint is data; it must not be able to run code.
        trainer.fit(
            module,
            data,
            ckpt_path=str(last) if resume and last.is_file() else None,
            weights_only=True,
        )
    if averaged:
        averaged.give(module.embedder)
    return module


def _keep_metrics(output: Path) -> None:
    """Lightning's CSV logger starts its file anew; that of an interrupted run gets a number."""
    file = output / "metrics.csv"
    if file.is_file():
        file.rename(output / f"metrics-{len(list(output.glob('metrics-*.csv'))) + 1}.csv")


def _callbacks(settings: FitSettings, output: Path, seed: int) -> list[Callback]:
    chosen: list[Callback] = [
        # With nothing monitored save_top_k=1 keeps the newest; save_last alone writes nothing
        # before the end.
        ModelCheckpoint(
            output / "checkpoints",
            filename="last",
            save_top_k=1,
            every_n_epochs=1,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        ),
        SeededSteps(seed),
        SourceRate(),
    ]
    return [*chosen, RichProgressBar()] if settings.progress else chosen


def _check_resumable(path: Path, module: CopyDetectionModule) -> None:
    """Fail with words, not with a list of tensors, where a folder holds another model's checkpoint."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    except Exception as error:
        raise AslError(
            f"{path}: cannot be resumed from ({error}); delete it or choose another output"
        ) from error
    own = {name: value.shape for name, value in module.state_dict().items()}
    theirs = {name: value.shape for name, value in state.items()}
    if own != theirs:
        different = sorted(
            name for name in own.keys() | theirs.keys() if own.get(name) != theirs.get(name)
        )
        raise AslError(
            f"{path}: belongs to another model or loss ({len(different)} tensor(s) differ, e.g. {different[0]}); "
            "choose another output or set resume=false"
        )
