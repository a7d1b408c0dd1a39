"""What is watched during a training: speed, and retrieval through the real search and evaluator."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any, cast

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from asl.data.layouts import Benchmark
from asl.features.extraction import extract
from asl.index.engines.faiss_flat import FaissFlat
from asl.index.exact.exact_search import search
from asl.metrics.evaluation import evaluate
from asl.models import Embedder
from asl.scoring.score import Score
from asl.training.ema import AveragedEmbedder


class SeededSteps(Callback):
    """What is random in the network and the losses depends on seed, epoch and batch, so that a resumed run repeats it.

    All processes draw the same: each computes the loss of the joined batch, and they must agree in
    it.
    """

    def __init__(self, seed: int) -> None:
        """Set the seed."""
        self._seed = seed

    def on_train_batch_start(
        self, trainer: L.Trainer, module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed torch on every device."""
        mixed = np.random.SeedSequence(
            [self._seed, trainer.current_epoch, batch_idx]
        ).generate_state(1, np.uint32)
        torch.manual_seed(int(mixed[0]))


class SourceRate(Callback):
    """Logs ``images_per_s`` over the last steps, beside the loss in the progress bar."""

    def __init__(self) -> None:
        self._since = 0.0
        self._images = 0

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clock."""
        self._since, self._images = time.perf_counter(), 0

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the views of all processes."""
        self._images += len(batch["images"]) * trainer.world_size
        rate = self._images / max(time.perf_counter() - self._since, 1e-9)
        module.log("images_per_s", rate, prog_bar=True, batch_size=1)


class RetrievalCheck(Callback):
    """Every few epochs: embed a validation benchmark, search it, evaluate it; logs ``validation/uap`` and more.

    Where weights are averaged, the average is what is checked.
    """

    def __init__(self, benchmark: Benchmark, *, score: Score, every: int, folder: Path) -> None:
        """Plan the checks.

        Args:
            benchmark: made of images that are not trained on.
            score: of query -> reference.
            every: epochs between two checks.
            folder: for the feature stores of each check; removed afterwards.
        """
        self._benchmark, self._score, self._every, self._folder = benchmark, score, every, folder

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Check after every ``every``-th epoch, on the first process."""
        if (trainer.current_epoch + 1) % self._every or not trainer.is_global_zero:
            return
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        averaged = next((found for found in callbacks if isinstance(found, AveragedEmbedder)), None)
        embedder = averaged.embedder if averaged else cast(Embedder, module.embedder)
        was_training = embedder.training
        embedder.eval()
        shutil.rmtree(
            self._folder, ignore_errors=True
        )  # a run killed inside a check leaves features of other weights
        stores = []
        for name, catalog in (
            ("queries", self._benchmark.queries),
            ("references", self._benchmark.references),
        ):
            store = extract(
                catalog, embedder, output=self._folder / name, device=str(module.device)
            )
            stores.append(store.embeddings())
        shutil.rmtree(self._folder)
        embedder.train(was_training)
        # On the CPU: the other processes' GPUs are full, and wait.
        found = search(
            stores[0].as_queries(),
            stores[1].as_references(),
            score=self._score,
            k=10,
            engine=FaissFlat(gpus=0),
        )
        result = evaluate(found, self._benchmark.truth)
        values = {
            "uap": result.uap,
            "recall_at_p90": result.recall_at_p90,
            "recall_at_1": result.recall_at_1,
        }
        module.log_dict(
            {f"validation/{name}": float(value or 0.0) for name, value in values.items()},
            rank_zero_only=True,
        )
