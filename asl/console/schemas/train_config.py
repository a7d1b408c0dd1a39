"""Train a copy detector; with a benchmark, score it.

Examples:
  asl train                                       generated images, no download, a few minutes
  asl train data=folder data.train=PHOTOS         your own photographs
  asl train data=folder data.train=PHOTOS data.benchmark=BENCH output=runs/mine
  asl train data=ndec data.root=NDEC experiment=asl trainer=gpu
  asl train loss=cosface                          without the norm-ratio loss
  asl train -m loss.weights.norm_ratio=0,0.5,1,2  a sweep; a failing job does not end it

OUTPUT gets config.yaml, model.safetensors, checkpoints/, metrics.csv of the training and, with a
benchmark, features/, predictions/, metrics.json, report.md and report.html. Started again on the
same output, a killed training resumes at the batch of its last checkpoint.

The grammar is Hydra's: GROUP=NAME chooses a preset, GROUP.key=value sets one key, -m sweeps over
comma-separated values; text is taken as typed. Groups with _target_ name a class and its arguments;
any argument of that class is a key. trusted=[PACKAGE] on the command line (or
ASL_TRUSTED_PACKAGES=PACKAGE) allows _target_ to name classes of further packages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class DataConfig:
    """data: training images and benchmarks.

    Attributes:
        name: sample (generated, no download), folder, or a published set (ndec, disc21).
        train: folder, list, tar or Parquet of training images (with folder alone).
        root: folder of a published set (with those alone).
        layout: layout of a published set; auto detects it.
        benchmark: folder of a benchmark to score in the end; null: the set's own.
        evaluate: score the set's own benchmark in the end; false: print the command that does.
        validation: folder of a benchmark to watch during training (never the one that is reported).
        hard_pairs: CSV first,second[,directed] of ids of training images that look alike and are no
            copies.
        hard_pairs_as: meaning of hard pairs. classes: two more training images each; negatives:
            known to be no copies of each other; positives: alike in angle, and negatives of each
            other in no loss; none: left out, with the images that only come with them.
        every: use every n-th training image.
        identities: source images in a batch of one process.
        views: views of each source image.
        first_view: edit of the first view of each: original (none), edited (as the others), or the
            name of a recipe, such as moderate.
        pairs: hard-negative pairs in a batch of one process, each two of the identities; null: half
            of the identities (as classes an eighth) where hard_pairs are given or data=ndec has
            them, else none.
        sizes: side of the views in pixels; several for progressive resolution.
        size_starts: epoch at which each of the sizes starts; the first is 0.
        content: what orders the norms: detail, visible or area.
        grid: side of the patch grid for losses on patches; 0: none.
        workers: processes that make views.
    """

    name: str = "sample"
    train: str | None = None
    root: str | None = None
    layout: str = "auto"
    benchmark: str | None = None
    evaluate: bool = True
    validation: str | None = None
    hard_pairs: str | None = None
    hard_pairs_as: str = "negatives"
    every: int = 1
    identities: int = 24
    views: int = 4
    first_view: str = "original"
    pairs: int | None = None
    sizes: list[int] = field(default_factory=lambda: [112])
    size_starts: list[int] = field(default_factory=lambda: [0])
    content: str = "detail"
    grid: int = 0
    workers: int = 1


@dataclass(kw_only=True)
class FitSettings:
    """trainer: the training loop, with Lightning's names for Lightning's arguments.

    Attributes:
        max_epochs: passes over the training images.
        max_steps: optimiser steps after which training ends; -1: no limit.
        max_time: DD:HH:MM:SS after which training ends, resumed runs included; null: no limit.
        accelerator: auto, cpu or gpu.
        devices: number of devices, a list such as [0,2], or auto for all; several need ddp.
        strategy: auto, ddp ...
        num_nodes: machines (started by torchrun or Slurm).
        precision: 32-true, bf16-mixed ...; depthwise networks train faster in 32-true on a CPU.
        sync_batchnorm: batch statistics over all processes (GPU only).
        compile: compile the embedder with torch.compile.
        accumulate_grad_batches: batches per optimiser step.
        gradient_clip_val: largest gradient norm; 0: no clipping.
        log_every_n_steps: steps between two rows of the log.
        enable_progress_bar: show a progress bar.
        logger: logger beside metrics.csv: csv (nothing beside it), tensorboard, wandb or mlflow;
            none writes no log at all.
        extra: further arguments of lightning.Trainer, such as trainer.extra.deterministic=true.
        ema: decay of the average of the weights that is saved in the end; 0: no average.
        save_every_n_steps: optimiser steps between two checkpoints inside an epoch; 0: none.
        save_every_minutes: minutes between two checkpoints inside an epoch; 0: none.
    """

    max_epochs: int = 10
    max_steps: int = -1
    max_time: str | None = None
    accelerator: str = "auto"
    devices: Any = 1
    strategy: str = "auto"
    num_nodes: int = 1
    precision: str = "32-true"
    sync_batchnorm: bool = False
    compile: bool = False
    accumulate_grad_batches: int = 1
    gradient_clip_val: float = 1.0
    log_every_n_steps: int = 10
    enable_progress_bar: bool = True
    logger: str = "tensorboard"
    extra: dict[str, Any] = field(default_factory=dict)
    ema: float = 0.0
    save_every_n_steps: int = 0
    save_every_minutes: float = 30.0


@dataclass(kw_only=True)
class TrainerConfig(FitSettings):
    """trainer: schedule and what is trained.

    Attributes:
        warmup: share of all steps that warms the learning rate up.
        flat: share of all steps after it at the full learning rate.
        final: share of the learning rate at the last step.
        backbone_rate: factor on the backbone's learning rate.
        freeze_backbone_norm: keep the backbone's batch-norm statistics as pretrained.
        freeze: parts of the embedder that are not trained, such as [backbone,neck.neck] to train a
            norm head alone.
        channels_last: memory layout, faster for convolutions.
        shard_classes: split the class weights of CosFace, ArcFace and SmoothedCrossEntropy over
            several devices (strategy ddp).
        check_every: epochs between retrieval checks on data.validation.
        select: weights that are saved as the model: last, or best by µAP on data.validation.
        patience: checks without a higher µAP after which training ends; 0: never.
        view_grid: source images in views.jpg, a picture of views of the first batch with foreign
            pixels tinted red; 0: no picture.
    """

    warmup: float = 0.05
    flat: float = 0.0
    final: float = 0.01
    backbone_rate: float = 1.0
    freeze_backbone_norm: bool = False
    freeze: list[str] = field(default_factory=list)
    channels_last: bool = True
    shard_classes: bool = False
    check_every: int = 5
    select: str = "last"
    patience: int = 0
    view_grid: int = 8


@dataclass(kw_only=True)
class TrainConfig:
    """Run.

    Attributes:
        output: folder of the run; null: outputs/train-DATE-TIME.
        seed: seed of everything random.
        resume: resume a killed training of the same output.
        teacher: saved model for losses that distil one.
        experiment: the experiment that was chosen by experiment=NAME.
        data: group data.
        model: group model.
        loss: group loss.
        optim: group optim.
        edits: group edits.
        score: group score.
        trainer: group trainer.
    """

    output: str | None = None
    seed: int = 0
    resume: bool = True
    teacher: str | None = None
    experiment: str | None = None
    data: DataConfig = field(default_factory=DataConfig)
    model: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)
    optim: dict[str, Any] = field(default_factory=dict)
    edits: dict[str, Any] = field(default_factory=dict)
    score: dict[str, Any] = field(default_factory=dict)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
