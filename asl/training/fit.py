"""Run a training: trainer, loggers, checkpoints, averaging, progress; resume from the last epoch's end."""

from __future__ import annotations

import warnings
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.utilities import rank_zero_only

from asl.console.schemas.train_config import FitSettings
from asl.data.datamodule import CopyDataModule
from asl.training.callbacks import SeededSteps, SourceRate
from asl.training.ema import AveragedEmbedder
from asl.training.lightning_trainer import make_trainer
from asl.training.module import CopyDetectionModule
from asl.types import AslError


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
    watchers = [*_callbacks(settings, output, seed), *([averaged] if averaged else []), *callbacks]
    trainer = make_trainer(settings, output=output, callbacks=watchers)
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
    return [*chosen, RichProgressBar()] if settings.enable_progress_bar else chosen


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
