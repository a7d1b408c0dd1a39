"""Train what a configuration describes and save it: configuration, weights, unreadable images."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console

from asl.console.configuration import flatten_values
from asl.console.key_names import RENAMED
from asl.console.schemas.train_config import TrainConfig
from asl.console.targets import moved
from asl.data.datamodule import CopyDataModule
from asl.data.images import decode_image
from asl.data.training_set import TrainingSet, ViewPlan
from asl.data.training_sources import Sources, open_sources
from asl.edits.engine.foreign_images import Pool
from asl.models import Embedder, load_embedder, save_embedder
from asl.report.provenance import provenance
from asl.storage import write_json
from asl.training.callbacks import RetrievalCheck
from asl.training.checks import check_loss, check_watch
from asl.training.class_memory import class_bytes, free_bytes, refuse_large_classes
from asl.training.fit import fit
from asl.training.module import CopyDetectionModule
from asl.training.parts import (
    build_edits,
    build_model,
    build_optimizer,
    build_score,
    check_parts,
    loss_factory,
)
from asl.training.schedule import WarmupCosine
from asl.types import UsageError

# Keys that may differ when a training is resumed: where and how it runs, how long, and what it is
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
    "trainer.max_epochs",
    "trainer.max_steps",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.strategy",
    "trainer.num_nodes",
    "trainer.compile",
    "trainer.enable_progress_bar",
    "trainer.log_every_n_steps",
    "trainer.logger",
    "trainer.check_every",
)


def train(config: TrainConfig) -> tuple[Embedder, Sources, dict[str, Any]] | None:
    """Train; write ``config.yaml``, ``model.safetensors`` and ``unreadable.json``.

    Returns:
        The embedder, the opened data and the model's card; None in all processes but the first.
    """
    check_parts(config)
    output = Path(str(config.output))
    output.mkdir(parents=True, exist_ok=True)
    first = getattr(rank_zero_only, "rank", 0) == 0  # of several processes
    if first:
        keep_config(config, output)
    sources = open_sources(config.data, seed=config.seed)
    console = Console(quiet=not first)
    pairs = f"{len(sources.hard_pairs or ())} hard-negative pairs, {sources.pairs} in a batch"
    console.print(f"{len(sources.train)} training images, {pairs}")
    if warning := smaller_than_trained(config):
        console.print(f"[yellow]{warning}")
    module = train_module(config, sources, output)
    failed = _of_all_processes(module.failed)
    if not first:
        return None
    card = {
        "training_images": len(sources.train),
        **provenance(asdict(config), command="train", seed=config.seed),
    }
    save_embedder(module.embedder, output / "model.safetensors", card=card)
    _write_failures(failed, output, console)
    console.print(f"saved {output / 'model.safetensors'}")
    return module.embedder, sources, card


def smaller_than_trained(config: TrainConfig) -> str | None:
    """Return a warning where images will be embedded at fewer pixels than in the last epochs."""
    seen = [
        size
        for start, size in zip(config.data.size_starts, config.data.sizes, strict=False)
        if start < config.trainer.max_epochs
    ]
    last = seen[-1] if seen else 0
    size = int(config.model.get("size", 0))
    if not 0 < size < last:
        return None
    return f"trained on {last} pixels and embedded at {size}: did you mean model.size={last}?"


def keep_config(config: TrainConfig, output: Path) -> None:
    """Write ``config.yaml``; a training is resumed with its own settings only.

    Raises:
        UsageError: the output holds a checkpoint of a training with other settings; the keys are
            named.
    """
    from omegaconf import OmegaConf

    path = output / "config.yaml"
    now = asdict(config)
    if config.resume and path.is_file() and (output / "checkpoints" / "last.ckpt").is_file():
        before = with_new_names(flatten_values(OmegaConf.to_container(OmegaConf.load(path))))
        after = flatten_values(now)
        names = sorted(before.keys() | after.keys())
        changed = [
            name
            for name in names
            if before.get(name) != after.get(name) and not name.startswith(_MAY_CHANGE)
        ]
        if changed:
            settings = ", ".join(f"{name} was {before.get(name)!r}" for name in changed[:5])
            raise UsageError(
                f"{output}: holds a training with other settings ({settings}); set them back, "
                "choose another output, or start afresh with resume=false"
            )
    OmegaConf.save(OmegaConf.create(now), path)


def with_new_names(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings of an earlier version with today's names of keys and classes."""
    names = RENAMED["train"]
    return {
        names.get(key, key): moved(value) if key.endswith("._target_") else value
        for key, value in settings.items()
    }


def train_module(config: TrainConfig, sources: Sources, output: Path) -> CopyDetectionModule:
    """Build the parts that the configuration names and train them."""
    trainer = config.trainer
    check_loss(config.loss, grid=config.data.grid, teacher=config.teacher, pairs=sources.pairs)
    check_watch(
        every=trainer.check_every,
        epochs=trainer.max_epochs,
        watched=sources.validation is not None,
    )
    # Necks, heads and class weights start at random, before the loop seeds itself.
    torch.manual_seed(config.seed)
    embedder = build_model(config)
    data = CopyDataModule(
        TrainingSet(sources.train, view_plan(config, sources)),
        identities=config.data.identities,
        hard_pairs=sources.hard_pairs,
        pairs=sources.pairs,
        workers=config.data.workers,
        seed=config.seed,
    )
    loss = loss_factory(config, classes=len(sources.train), dim=embedder.dim)
    optimizer = build_optimizer(config)
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
    return fit(
        module,
        data,
        trainer,
        output=output,
        seed=config.seed,
        resume=config.resume,
        callbacks=_checks(config, sources, output),
    )


def _checks(config: TrainConfig, sources: Sources, output: Path) -> tuple[RetrievalCheck, ...]:
    if sources.validation is None:
        return ()
    check = RetrievalCheck(
        sources.validation,
        score=build_score(config),
        every=config.trainer.check_every,
        folder=output / "check",
    )
    return (check,)


def view_plan(config: TrainConfig, sources: Sources) -> ViewPlan:
    """Return how views are made: recipe, sizes by epoch, pool of foreign images."""
    data = config.data
    if len(data.sizes) != len(data.size_starts):
        raise UsageError(
            f"data.size_starts: needs one epoch for each of data.sizes={data.sizes}, "
            f"got {data.size_starts}"
        )
    return ViewPlan(
        recipe=build_edits(config),
        views=data.views,
        sizes=dict(zip(data.size_starts, data.sizes, strict=True)),
        seed=config.seed,
        pool=Pool(sources.train, decode=partial(decode_image, least=2 * max(data.sizes))),
        content=data.content,  # type: ignore[arg-type]
        grid=data.grid,
    )


def _of_all_processes(failed: dict[str, str]) -> dict[str, str]:
    """Join the unreadable images of all processes, and leave their group."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return failed
    every: list[dict[str, str]] = [{} for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather_object(every, failed)
    torch.distributed.destroy_process_group()
    return {name: reason for part in every for name, reason in part.items()}


def _write_failures(failed: dict[str, str], output: Path, console: Console) -> None:
    if failed:
        write_json(output / "unreadable.json", failed)
        console.print(
            f"[yellow]{len(failed)} training image(s) could not be read; see unreadable.json"
        )
