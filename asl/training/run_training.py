"""Train what a configuration describes and save it: configuration, weights, unreadable images."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from asl.console.configuration import flatten_values
from asl.console.entry import current_command
from asl.console.key_names import RENAMED
from asl.console.plain_console import PlainConsole
from asl.console.progress import no_bar, progress_bar
from asl.console.schemas.train_config import TrainConfig
from asl.console.targets import moved
from asl.counts import counted
from asl.data.datamodule import CopyDataModule
from asl.data.images import decode_image
from asl.data.training_set import TrainingSet, ViewPlan
from asl.data.training_sources import Sources, describe_passes, open_sources
from asl.edits.engine.foreign_images import Pool
from asl.losses import WeightedSum
from asl.models import Embedder, load_embedder, save_embedder
from asl.report.provenance import provenance
from asl.storage import atomic_text, make_folder, write_json
from asl.training.checkpoints import has_checkpoint
from asl.training.checks import check_groups, check_loss, check_shards, check_validation
from asl.training.data_identity import check_identity, identify, write_identity
from asl.training.distributed import is_first_process
from asl.training.fit import fit
from asl.training.lightning_trainer import check_gpu
from asl.training.memory_estimate import (
    chosen_gpus,
    class_bytes,
    free_bytes,
    refuse_large_classes,
    step_bytes,
    step_plan,
)
from asl.training.module import CopyDetectionModule
from asl.training.parts import (
    build_edits,
    build_first_view,
    build_model,
    build_optimizer,
    build_score,
    check_parts,
    loss_factory,
)
from asl.training.retrieval_check import RetrievalCheck
from asl.training.schedule import OptimizerFactory, WarmupCosine, fused_factory
from asl.training.view_grid import write_view_grid
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
    # The images of these are compared, not the text of their paths.
    "data.train",
    "data.root",
    "data.layout",
    "data.hard_pairs",
    "trainer.max_epochs",
    "trainer.max_steps",
    "trainer.max_time",
    "trainer.save_every_n_steps",
    "trainer.save_every_minutes",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.strategy",
    "trainer.num_nodes",
    "trainer.shard_classes",
    "trainer.compile",
    "trainer.enable_progress_bar",
    "trainer.log_every_n_steps",
    "trainer.logger",
    "trainer.check_every",
    "trainer.select",
    "trainer.patience",
    "trainer.view_grid",
)


def train(config: TrainConfig) -> tuple[Embedder, Sources, dict[str, Any]] | None:
    """Train, and write ``config.yaml``, ``model.safetensors`` and ``unreadable.json``.

    Returns:
        The embedder, the opened data and the model's card; None in all processes but the first.
    """
    check_parts(config)
    check_gpu(config.trainer.accelerator)
    output = Path(str(config.output))
    make_folder(output, name="output")
    first = is_first_process()
    console = PlainConsole(quiet=not first)
    resumes = first and config.resume
    if resumes:
        check_settings(config, output)
    sources = _open(config, console)
    if first:
        identity = identify(sources.train, sources.hard_pairs)
        if resumes and has_checkpoint(output / "checkpoints"):
            check_identity(output / "checkpoints", identity)
        write_identity(output / "checkpoints", identity)
        write_config(config, output)
    if warning := smaller_than_trained(config):
        console.warn(warning)
    module = train_module(config, sources, output)
    failed = _of_all_processes(module.failed)
    if not first:
        return None
    card = {
        "training_images": len(sources.train),
        **provenance(asdict(config), command=current_command("train"), seed=config.seed),
    }
    save_embedder(module.embedder, output / "model.safetensors", card=card)
    _write_failures({**sources.left_out, **failed}, output, console)
    console.say(f"saved {output / 'model.safetensors'}")
    return module.embedder, sources, card


def _open(config: TrainConfig, console: PlainConsole) -> Sources:
    """Open the data and report what a training will see of it."""
    place = config.data.root or config.data.train or config.data.name
    console.say(f"opening the training images of {place} ...")
    start = time.perf_counter()
    bar = progress_bar if config.data.name == "sample" and not console.quiet else no_bar
    with bar("generating", unit="images") as progress:
        sources = open_sources(config.data, seed=config.seed, progress=progress)
    pairs = counted(len(sources.hard_pairs or ()), "hard-negative pair")
    images = counted(len(sources.train), "training image")
    seconds = time.perf_counter() - start
    console.say(f"{images}, {pairs}, {sources.pairs} in a batch; opened in {seconds:.1f} s")
    if sources.left_out:
        folder, reason = next(iter(sources.left_out.items()))
        console.warn(
            f"{counted(len(sources.left_out), 'broken pair folder')} left out, e.g. {folder}: "
            f"{reason}; see unreadable.json"
        )
    trainer = config.trainer
    processes = _processes(config)
    singles = max(1, config.data.identities - 2 * sources.pairs)
    steps = trainer.max_epochs * (len(sources.train) // (singles * processes))
    if trainer.max_steps >= 0:
        steps = min(steps, trainer.max_steps * trainer.accumulate_grad_batches)
    passes = describe_passes(
        sources, identities=config.data.identities, steps=steps, processes=processes
    )
    console.say(passes)
    return sources


def _processes(config: TrainConfig) -> int:
    """Return the number of processes of a training, as far as the configuration tells."""
    trainer = config.trainer
    if trainer.accelerator != "cpu" and torch.cuda.is_available():
        return trainer.num_nodes * len(chosen_gpus(trainer.devices))
    alone = isinstance(trainer.devices, str) or not isinstance(trainer.devices, int)
    return trainer.num_nodes * (1 if alone else max(1, trainer.devices))


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


def check_settings(config: TrainConfig, output: Path) -> None:
    """Compare the settings with those of the checkpoints in the output.

    Raises:
        UsageError: they differ in keys that make another training; the keys are named.
    """
    from omegaconf import OmegaConf

    path = output / "config.yaml"
    if not (path.is_file() and has_checkpoint(output / "checkpoints")):
        return
    before = flatten_values(asdict(TrainConfig()))  # keys that an earlier version did not have
    before |= with_new_names(flatten_values(OmegaConf.to_container(OmegaConf.load(path))))
    after = flatten_values(asdict(config))
    changed = [
        name
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name) and not name.startswith(_MAY_CHANGE)
    ]
    if changed:
        settings = ", ".join(f"{name} was {before.get(name)!r}" for name in changed[:5])
        raise UsageError(
            f"{output}: holds a training with other settings ({settings}); set them back, "
            "choose another output, or start afresh with resume=false"
        )


def write_config(config: TrainConfig, output: Path) -> None:
    """Write ``config.yaml``."""
    from omegaconf import OmegaConf

    with atomic_text(output / "config.yaml") as file:
        file.write(OmegaConf.to_yaml(OmegaConf.create(asdict(config))))


def with_new_names(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings of an earlier version with today's names of keys and classes."""
    names = RENAMED["train"]
    return {
        names.get(key, key): moved(value) if key.endswith("._target_") else value
        for key, value in settings.items()
    }


def train_module(config: TrainConfig, sources: Sources, output: Path) -> CopyDetectionModule:
    """Build the parts that the configuration names and train them."""
    check_loss(
        config.loss,
        grid=config.data.grid,
        teacher=config.teacher,
        pairs=sources.pairs,
        pairs_as=config.data.hard_pairs_as,
    )
    check_validation(config.trainer, given=sources.validation is not None)
    check_shards(config, processes=_processes(config))
    # Necks, heads and class weights start at random, before the loop seeds itself.
    torch.manual_seed(config.seed)
    module = _build_module(config, sources)
    data = CopyDataModule(
        TrainingSet(sources.train, view_plan(config, sources)),
        identities=config.data.identities,
        hard_pairs=sources.hard_pairs,
        pairs=sources.pairs,
        workers=config.data.workers,
        seed=config.seed,
    )
    checks = _checks(config, sources, output)
    if config.trainer.view_grid and is_first_process():
        write_view_grid(data, output / "views.jpg", sources=config.trainer.view_grid)
    fit(
        module,
        data,
        config.trainer,
        output=output,
        seed=config.seed,
        resume=config.resume,
        callbacks=checks,
    )
    for check in checks if config.trainer.select == "best" else ():
        if line := check.restore_best(module.embedder):
            PlainConsole().say(f"saving the weights of the {line}")
    return module


def _build_module(config: TrainConfig, sources: Sources) -> CopyDetectionModule:
    trainer = config.trainer
    embedder = build_model(config)
    loss = loss_factory(config, classes=len(sources.train), dim=embedder.dim)
    optimizer = fused_factory(
        build_optimizer(config),
        cuda=trainer.accelerator != "cpu" and torch.cuda.is_available(),
        clips=trainer.gradient_clip_val > 0,
        mixed=trainer.precision.endswith("-mixed"),
    )
    _check_memory(config, sources, embedder, loss, optimizer)
    built = loss()
    groups = _groups(sources)
    check_groups(built, groups)
    return CopyDetectionModule(
        embedder,
        built,
        optimizer=optimizer,
        schedule=WarmupCosine(warmup=trainer.warmup, final=trainer.final, flat=trainer.flat),
        backbone_rate=trainer.backbone_rate,
        teacher=load_embedder(config.teacher) if config.teacher else None,
        groups=groups,
        freeze_backbone_norm=trainer.freeze_backbone_norm,
        freeze=trainer.freeze,
        channels_last=trainer.channels_last,
    )


def _groups(sources: Sources) -> torch.Tensor | None:
    groups = sources.hard_pairs.groups(len(sources.train)) if sources.hard_pairs else None
    return None if groups is None else torch.from_numpy(groups)


def _check_memory(
    config: TrainConfig,
    sources: Sources,
    embedder: Embedder,
    loss: Callable[[], WeightedSum],
    optimizer: OptimizerFactory,
) -> None:
    """Refuse class weights that do not fit the devices that were chosen."""
    if not class_bytes(loss, optimizer):
        return
    plan = step_plan(config, images=len(sources.train), processes=_processes(config))
    free = free_bytes(config.trainer.accelerator, config.trainer.devices)
    needed = step_bytes(embedder, loss, optimizer, plan)
    refuse_large_classes(needed, free, images=len(sources.train))


def _checks(config: TrainConfig, sources: Sources, output: Path) -> tuple[RetrievalCheck, ...]:
    if sources.validation is None:
        return ()
    check = RetrievalCheck(
        sources.validation,
        score=build_score(config),
        every=config.trainer.check_every,
        output=output,
        patience=config.trainer.patience,
    )
    return (check,)


def view_plan(config: TrainConfig, sources: Sources) -> ViewPlan:
    """Return how views are made: recipe, sizes by epoch, pool of foreign images."""
    data = config.data
    recipe = build_edits(config)
    return ViewPlan(
        recipe=recipe,
        first=build_first_view(config, recipe),
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


def _write_failures(failed: dict[str, str], output: Path, console: PlainConsole) -> None:
    if failed:
        write_json(output / "unreadable.json", failed)
        console.warn(
            f"{counted(len(failed), 'training image or pair', 'training images or pairs')} could "
            "not be used; see unreadable.json"
        )
