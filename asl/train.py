"""Train a copy detector, then (where there is a benchmark) search it in the right direction and score it.

  python -m asl.train                                       generated images, no download, a few
  minutes python -m asl.train data=folder data.train=PHOTOS         your own photographs
  python -m asl.train data=folder data.train=PHOTOS data.benchmark=BENCH output=runs/mine
  python -m asl.train data=ndec data.root=NDEC experiment=asl
  python -m asl.train loss=cosface                          without the norm-ratio loss
  python -m asl.train -m loss.weights.norm_ratio=0,0.5,1,2  a sweep

The output folder gets config.yaml, model.safetensors, checkpoints/, metrics.csv of the training
and, with a benchmark, features/, predictions/, metrics.json, report.md and report.html. Started
again on the same output, a killed training goes on from the end of its last epoch.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import MISSING, OmegaConf
from rich.console import Console

from asl.console.configuration import flatten_values
from asl.console.entry import entry_point
from asl.data.datamodule import CopyDataModule
from asl.data.images import decode_image
from asl.data.training_set import TrainingSet, ViewPlan
from asl.data.training_sources import DataConfig, Sources, open_sources
from asl.edits.engine.foreign_images import Pool
from asl.features.feature_store import FeatureStore
from asl.models import Embedder, load_embedder, save_embedder
from asl.models.io import model_hash
from asl.pipeline.benchmark_run import every_mode
from asl.pipeline.reporting import score_benchmark
from asl.report.headline_table import rich_table
from asl.report.provenance import provenance
from asl.scoring.score import Score
from asl.storage import write_json
from asl.training import CopyDetectionModule, FitSettings, fit
from asl.training.callbacks import RetrievalCheck
from asl.training.checks import check_loss, check_watch
from asl.training.class_memory import class_bytes, free_bytes, refuse_large_classes
from asl.training.schedule import WarmupCosine
from asl.types import UsageError

# What may differ when a training is gone on with: where and how it runs, how long, and what it is
# scored on.
_MAY_CHANGE = (
    "output",
    "resume",
    "experiment",
    "score.",
    "data.benchmark",
    "data.evaluate",
    "data.validation",
    "data.workers",
    *(
        f"trainer.{key}"
        for key in (
            "epochs",
            "max_steps",
            "accelerator",
            "devices",
            "strategy",
            "num_nodes",
            "compile",
            "progress",
            "log_every",
            "check_every",
        )
    ),
)


@dataclass
class TrainerConfig(FitSettings):
    """The loop (see :class:`asl.training.FitSettings`) and what belongs to the optimiser's course.

    Attributes:
        warmup: share of all steps that warms the learning rate up.
        flat: share of all steps that then keeps it, before it falls.
        final: share of the learning rate at the last step.
        backbone_rate: factor on the backbone's learning rate.
        freeze_backbone_norm: keep the backbone's batch-norm statistics as pretrained.
        freeze: parts of the embedder that stay as they are, e.g. ``[backbone,neck.neck]`` to train
            a norm head alone.
        channels_last: memory layout, faster for convolutions.
        check_every: epochs between retrieval checks on data.validation.
    """

    warmup: float = 0.05
    flat: float = 0.0
    final: float = 0.01
    backbone_rate: float = 1.0
    freeze_backbone_norm: bool = False
    freeze: list[str] = field(default_factory=list)
    channels_last: bool = True
    check_every: int = 5


@dataclass
class TrainConfig:
    """Every key of ``python -m asl.train``; groups with ``_target_`` name a class and its arguments."""

    data: DataConfig = field(default_factory=DataConfig)
    model: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)
    optim: dict[str, Any] = field(default_factory=dict)
    edits: dict[str, Any] = field(default_factory=dict)
    score: dict[str, Any] = field(default_factory=dict)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    experiment: str | None = None
    teacher: str | None = None
    resume: bool = True
    output: str | None = None
    seed: int = 0


def run(config: TrainConfig) -> int:
    """Train, save, and score where there is a benchmark."""
    output = Path(config.output or MISSING)
    output.mkdir(parents=True, exist_ok=True)
    first = getattr(rank_zero_only, "rank", 0) == 0  # of several processes
    if first:
        keep_config(config, output)
    sources = open_sources(config.data, seed=config.seed)
    console = Console(quiet=not first)
    found = f"{len(sources.hard_pairs or ())} hard-negative pairs, {sources.pairs} in a batch"
    console.print(f"{len(sources.train)} training images, {found}")
    if warning := smaller_than_trained(config):
        console.print(f"[yellow]{warning}")
    module = train_module(config, sources, output)
    failed = _of_all_processes(module.failed)
    if not first:
        return 0
    plain: dict[str, Any] = OmegaConf.to_container(OmegaConf.structured(config))  # type: ignore[assignment]
    card = {
        "training_images": len(sources.train),
        **provenance(plain, command="train", seed=config.seed),
    }
    save_embedder(module.embedder, output / "model.safetensors", card=card)
    _write_failures(failed, output, console)
    console.print(f"saved {output / 'model.safetensors'}")
    if sources.benchmark is None:
        return 0
    if not (config.data.evaluate or config.data.benchmark):
        console.print(
            f"not scored (data.evaluate=false): {reproduction(config, sources, output)}",
            soft_wrap=True,
        )
        return 0
    score = instantiate(config.score, _convert_="all")
    _drop_stale(output / "features", module.embedder)
    evaluations = score_benchmark(
        sources.benchmark,
        module.embedder.eval(),
        lambda inputs: every_mode(inputs, score),
        output=output,
        context=card,
    )
    console.print(rich_table(evaluations))
    console.print(f"report: {output / 'report.html'}")
    return 0


def smaller_than_trained(config: TrainConfig) -> str | None:
    """A line where images will be embedded at fewer pixels than the network saw last, else None."""
    seen = [
        size
        for start, size in zip(config.data.size_starts, config.data.sizes, strict=False)
        if start < config.trainer.epochs
    ]
    last, size = seen[-1] if seen else 0, int(config.model.get("size", 0))
    if not 0 < size < last:
        return None
    return f"trained on {last} pixels and embedded at {size}: did you mean model.size={last}?"


def reproduction(config: TrainConfig, sources: Sources, output: Path) -> str:
    """The command that scores the training on the benchmark that its data came with."""
    own = (
        sources.benchmark.name
        if sources.benchmark and config.data.name in ("ndec", "disc21")
        else config.data.name
    )
    root = f" root={config.data.root}" if config.data.root else ""
    return f"python -m asl.reproduce benchmark={own}{root} model={output}"


def keep_config(config: TrainConfig, output: Path) -> None:
    """Write ``config.yaml``; a training that is gone on with must be the one that was begun.

    Raises:
        UsageError: the output holds a checkpoint of a training with other settings; the keys are
            named.
    """
    path, now = output / "config.yaml", OmegaConf.structured(config)
    if config.resume and path.is_file() and (output / "checkpoints" / "last.ckpt").is_file():
        before, after = (
            flatten_values(OmegaConf.to_container(tree)) for tree in (OmegaConf.load(path), now)
        )
        names = sorted(before.keys() | after.keys())
        changed = [
            name
            for name in names
            if before.get(name) != after.get(name) and not name.startswith(_MAY_CHANGE)
        ]
        if changed:
            said = ", ".join(f"{name} was {before.get(name)!r}" for name in changed[:5])
            raise UsageError(
                f"{output}: holds a training with other settings ({said}); set them back, choose another output, or "
                "start anew with resume=false"
            )
    OmegaConf.save(now, path)


def _of_all_processes(failed: dict[str, str]) -> dict[str, str]:
    """What the processes could not read, joined; they part here."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return failed
    every: list[dict[str, str]] = [{} for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather_object(every, failed)
    torch.distributed.destroy_process_group()
    return {name: reason for part in every for name, reason in part.items()}


def _drop_stale(features: Path, embedder: Embedder) -> None:
    """Features of the weights that this output had before it was trained on."""
    for manifest in features.glob("*/manifest.json"):
        if FeatureStore.open(manifest.parent).manifest["model"] != model_hash(embedder):
            shutil.rmtree(manifest.parent)


def train_module(config: TrainConfig, sources: Sources, output: Path) -> CopyDetectionModule:
    """Build the parts that the configuration names and train them."""
    trainer = config.trainer
    check_loss(config.loss, grid=config.data.grid, teacher=config.teacher, pairs=sources.pairs)
    check_watch(
        every=trainer.check_every, epochs=trainer.epochs, watched=sources.validation is not None
    )
    torch.manual_seed(
        config.seed
    )  # necks, heads and class weights start at random, before the loop seeds itself
    embedder = instantiate(config.model, _convert_="all")
    data = CopyDataModule(
        TrainingSet(sources.train, _view_plan(config, sources)),
        identities=config.data.identities,
        hard_pairs=sources.hard_pairs,
        pairs=sources.pairs,
        workers=config.data.workers,
        seed=config.seed,
    )
    loss = partial(
        instantiate, config.loss, classes=len(sources.train), dim=embedder.dim, _convert_="all"
    )
    optimizer = instantiate(config.optim, _convert_="all")
    needed = class_bytes(loss, optimizer)
    refuse_large_classes(needed, free_bytes(trainer.accelerator), images=len(sources.train))
    module = CopyDetectionModule(
        embedder,
        loss(),
        optimizer=optimizer,
        schedule=WarmupCosine(warmup=trainer.warmup, final=trainer.final, flat=trainer.flat),
        backbone_rate=trainer.backbone_rate,
        teacher=load_embedder(config.teacher) if config.teacher else None,
        freeze_backbone_norm=trainer.freeze_backbone_norm,
        freeze=trainer.freeze,
        channels_last=trainer.channels_last,
    )
    checks: tuple[RetrievalCheck, ...] = ()
    if sources.validation is not None:
        score: Score = instantiate(config.score, _convert_="all")
        checks = (
            RetrievalCheck(
                sources.validation, score=score, every=trainer.check_every, folder=output / "check"
            ),
        )
    return fit(
        module,
        data,
        trainer,
        output=output,
        seed=config.seed,
        resume=config.resume,
        callbacks=checks,
    )


def _view_plan(config: TrainConfig, sources: Sources) -> ViewPlan:
    if len(config.data.sizes) != len(config.data.size_starts):
        raise UsageError(
            f"data.size_starts: needs one epoch for each of data.sizes={config.data.sizes}"
        )
    return ViewPlan(
        recipe=instantiate(config.edits, _convert_="all"),
        views=config.data.views,
        sizes=dict(zip(config.data.size_starts, config.data.sizes, strict=True)),
        seed=config.seed,
        pool=Pool(sources.train, decode=partial(decode_image, least=2 * max(config.data.sizes))),
        content=config.data.content,  # type: ignore[arg-type]
        grid=config.data.grid,
    )


def _write_failures(failed: dict[str, str], output: Path, console: Console) -> None:
    if failed:
        write_json(output / "unreadable.json", failed)
        console.print(
            f"[yellow]{len(failed)} training image(s) could not be read; see unreadable.json"
        )


main = entry_point("train", TrainConfig, run)

if __name__ == "__main__":
    main()
