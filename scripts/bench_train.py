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
from itertools import islice
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

from asl.cli import compose
from asl.console.schemas.train_config import TrainerConfig
from asl.data.datamodule import CopyDataModule
from asl.data.training_set import TrainingSet
from asl.data.training_sources import open_sources
from asl.training import CopyDetectionModule, fit
from asl.training.parts import build_model, build_optimizer, loss_factory
from asl.training.run_training import view_plan
from asl.training.schedule import WarmupCosine
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
    on_gpu = settings.accelerator != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
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


def run(keys: list[str], *, steps: int, rounds: int, workers: list[int]) -> None:
    """Measure and print."""
    config = compose(
        "train",
        [*keys, "trainer.enable_progress_bar=false", "trainer.max_epochs=1", "trainer.devices=1"],
    )
    sources = open_sources(config.data, seed=config.seed)
    training = TrainingSet(sources.train, view_plan(config, sources))

    def data(count: int) -> CopyDataModule:
        return CopyDataModule(
            training, identities=config.data.identities, workers=count, seed=config.seed
        )

    batches = list(islice(data(0).train_dataloader(), steps))
    module = build(config, len(sources.train))
    ratios, seconds = [], []
    for _ in range(rounds):
        alone = step(bare(copy.deepcopy(module), batches, config.trainer))
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            fit(
                copy.deepcopy(module),
                Kept(batches),
                config.trainer,
                output=Path(folder),
                callbacks=(clock,),
            )  # type: ignore[arg-type]
        seconds.append((alone, step(clock.times[: len(batches)])))
        ratios.append(seconds[-1][1] / alone)
    views = len(batches[0]["images"])
    plain, ours = np.median(seconds, axis=0)
    size = config.data.sizes[0]
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
        rate = views_per_second(data(count), max(2, steps // 2))
        print(
            f"views, {count} worker(s) alone: {rate:8.1f} views/s, "
            f"{rate * plain / views:.2f} x what the model takes"
        )


def build(config: Any, classes: int) -> CopyDetectionModule:
    """The module as asl.train builds it."""
    torch.manual_seed(config.seed)
    embedder = build_model(config)
    return CopyDetectionModule(
        embedder,
        loss_factory(config, classes=classes, dim=embedder.dim)(),
        optimizer=build_optimizer(config),
        schedule=WarmupCosine(
            warmup=config.trainer.warmup, final=config.trainer.final, flat=config.trainer.flat
        ),
        channels_last=config.trainer.channels_last,
    )


if __name__ == "__main__":
    sys.exit(main())
