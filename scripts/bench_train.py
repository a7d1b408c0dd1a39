"""Compare the training loop with bare steps, and view generation with the model, in one run.

  python scripts/bench_train.py data=folder data.train=PHOTOS
  python scripts/bench_train.py data.identities=16 data.sizes=[112] --steps 12 --workers 1 2

Takes the keys of `python -m asl.train`. *bare* is a plain PyTorch loop over batches in memory:
forward, the same losses, backward, clipping, optimiser, schedule. *lightning* is `asl.training.fit`
as asl.train runs it, with loggers, checkpoints and checks, on the same batches. They take turns;
the ratio is the median over rounds. *views* are decoded and edited by the data pipeline alone. On a
CPU,
workers and model share the cores: a step of a real run takes the time of both, and one worker per
core is too many.
"""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

from asl.cli import compose
from asl.console.schemas.train_config import TrainConfig, TrainerConfig
from asl.data.datamodule import CopyDataModule
from asl.data.training_set import TrainingSet
from asl.data.training_sources import open_sources
from asl.training import CopyDetectionModule, fit
from asl.training.parts import build_model, build_optimizer, loss_factory
from asl.training.run_training import view_plan
from asl.training.schedule import WarmupCosine, fused_factory
from asl.types import AslError

Batch = dict[str, Any]


class Kept(L.LightningDataModule):
    """Batches that lie in memory."""

    def __init__(self, batches: list[Batch]) -> None:
        super().__init__()
        self._batches = batches

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(self._batches, batch_size=None)  # type: ignore[arg-type]


class Clock(Callback):
    """When each step ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        self.times.append(now())


def now() -> float:
    """Seconds, when what a GPU was asked for is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def bare(module: CopyDetectionModule, batches: list[Batch], settings: TrainerConfig) -> list[float]:
    """Step ends of a loop without a framework, on the device and in the precision of the other."""
    device = torch.device("cuda" if on_gpu(settings) else "cpu")
    torch.set_float32_matmul_precision("high")  # as asl.training.fit
    if settings.compile:
        module.compile_embedder()
    kind = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(settings.precision)
    embedder, loss = module.to(device).embedder.train(), module.loss.train()
    optimizer = module._optimizer(list(embedder.parameters()) + list(loss.parameters()))
    schedule = WarmupCosine(warmup=0.05, final=0.01).attach(optimizer, steps=len(batches))
    times = []
    for batch in batches:
        moved = {
            name: value.to(device) if isinstance(value, torch.Tensor) else value
            for name, value in batch.items()
        }
        with torch.autocast(device.type, kind or torch.bfloat16, enabled=kind is not None):
            inputs = module._loss_inputs(moved)
        total, _ = loss(inputs)
        optimizer.zero_grad()
        total.backward()
        if settings.gradient_clip_val:
            torch.nn.utils.clip_grad_norm_(embedder.parameters(), settings.gradient_clip_val)
        optimizer.step()
        schedule.step()
        times.append(now())
    return times


def step(times: list[float]) -> float:
    """Median seconds of a step, without the first quarter."""
    return float(np.median(np.diff(times[len(times) // 4 :])))


def views_per_second(data: CopyDataModule, count: int) -> float:
    """Rate of the pipeline alone, the start of its processes left out."""
    batches: Iterator[Batch] = iter(data.train_dataloader())
    next(batches)
    started, views = time.perf_counter(), 0
    for batch in islice(batches, count):
        views += len(batch["images"])
    return views / (time.perf_counter() - started)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("keys", nargs="*", help="of python -m asl.train")
    parser.add_argument(
        "--steps", type=int, default=16, help="of each round; the first quarter is not counted"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1], help="processes that make views"
    )
    options = parser.parse_args()
    try:
        run(options.keys, steps=options.steps, rounds=options.rounds, workers=options.workers)
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


@dataclass
class Prepared:
    """A training as asl.train builds it, with its batches in memory."""

    config: TrainConfig
    training: TrainingSet
    module: CopyDetectionModule
    batches: list[Batch]

    @property
    def settings(self) -> TrainerConfig:
        return self.config.trainer

    def data(self, workers: int) -> CopyDataModule:
        return CopyDataModule(
            self.training,
            identities=self.config.data.identities,
            workers=workers,
            seed=self.config.seed,
        )

    def bare_step(self) -> float:
        """Seconds of a step of the bare loop."""
        return step(bare(copy.deepcopy(self.module), self.batches, self.settings))

    def lightning_step(self) -> float:
        """Seconds of a step of :func:`asl.training.fit`."""
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            fit(
                copy.deepcopy(self.module),
                Kept(self.batches),  # type: ignore[arg-type]
                self.settings,
                output=Path(folder),
                callbacks=(clock,),
            )
        return step(clock.times[: len(self.batches)])


def prepare(keys: list[str], *, steps: int) -> Prepared:
    """Compose a training and make its first batches; fewer where an epoch has fewer."""
    config: TrainConfig = compose(
        "train",
        [*keys, "trainer.enable_progress_bar=false", "trainer.max_epochs=1", "trainer.devices=1"],
    )
    sources = open_sources(config.data, seed=config.seed)
    training = TrainingSet(sources.train, view_plan(config, sources))
    prepared = Prepared(config, training, build(config, len(sources.train)), [])
    prepared.batches = list(islice(prepared.data(0).train_dataloader(), steps))
    return prepared


def run(keys: list[str], *, steps: int, rounds: int, workers: list[int]) -> None:
    """Measure and print."""
    prepared = prepare(keys, steps=steps)
    batches = prepared.batches
    seconds = [(prepared.bare_step(), prepared.lightning_step()) for _ in range(rounds)]
    ratios = [ours / alone for alone, ours in seconds]
    views = len(batches[0]["images"])
    plain, ours = np.median(seconds, axis=0)
    size = prepared.config.data.sizes[0]
    print(
        f"{len(batches)} steps of {views} views of {size} px, {rounds} rounds, "
        f"{torch.get_num_threads()} threads"
    )
    print(f"bare loop   {1000 * plain:8.1f} ms a step  {views / plain:8.1f} views/s")
    print(f"lightning   {1000 * ours:8.1f} ms a step  {views / ours:8.1f} views/s")
    print(
        f"lightning / bare: {np.median(ratios):.3f} "
        f"(rounds: {', '.join(f'{ratio:.3f}' for ratio in ratios)})"
    )
    for count in workers:
        rate = views_per_second(prepared.data(count), max(2, steps // 2))
        print(
            f"views, {count} worker(s) alone: {rate:8.1f} views/s, "
            f"{rate * plain / views:.2f} x what the model takes"
        )


def build(config: TrainConfig, classes: int) -> CopyDetectionModule:
    """The module as asl.train builds it."""
    torch.manual_seed(config.seed)
    embedder = build_model(config)
    trainer = config.trainer
    return CopyDetectionModule(
        embedder,
        loss_factory(config, classes=classes, dim=embedder.dim)(),
        optimizer=fused_factory(
            build_optimizer(config),
            cuda=on_gpu(trainer),
            clips=trainer.gradient_clip_val > 0,
            mixed=trainer.precision.endswith("-mixed"),
        ),
        schedule=WarmupCosine(warmup=trainer.warmup, final=trainer.final, flat=trainer.flat),
        channels_last=trainer.channels_last,
    )


def on_gpu(settings: TrainerConfig) -> bool:
    return settings.accelerator != "cpu" and torch.cuda.is_available()


if __name__ == "__main__":
    sys.exit(main())
