"""Validation by retrieval: search a benchmark, keep the best weights, stop early."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from asl.data.layouts import Benchmark
from asl.features.extraction import extract
from asl.index.engines.faiss_flat import FaissFlat
from asl.index.exact.exact_search import search
from asl.metrics.directional import directional
from asl.metrics.evaluation import evaluate
from asl.models import Embedder, load_embedder, save_embedder
from asl.scoring.score import Score
from asl.training.ema import AveragedEmbedder

BEST = "best.safetensors"


class RetrievalCheck(Callback):
    """Every few epochs, embed, search and evaluate a validation benchmark with the real parts.

    Logs ``validation/uap``, ``recall_at_p90``, ``recall_at_1`` and ``norm_order`` (the share of
    true pairs whose reference has the larger norm). Where weights are averaged, the average is
    evaluated. The weights of the highest µAP are kept as ``checkpoints/best.safetensors``.
    """

    def __init__(
        self, benchmark: Benchmark, *, score: Score, every: int, output: Path, patience: int = 0
    ) -> None:
        """Plan the checks.

        Args:
            benchmark: of images that are not trained on.
            score: of query -> reference.
            every: epochs between two checks.
            output: of the training; the features of a check are removed afterwards.
            patience: checks without a higher µAP after which the training stops; 0: never.
        """
        self._benchmark = benchmark
        self._score = score
        self._every = every
        self._features = output / "check"
        self._best_file = output / "checkpoints" / BEST
        self._patience = patience
        self._best_uap = -1.0
        self._best_epoch = -1
        self._checks_since_best = 0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Stop at once where a resumed training had already lost its patience."""
        trainer.should_stop = trainer.should_stop or self._out_of_patience()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Check after every ``every``-th epoch, on the first process."""
        if (trainer.current_epoch + 1) % self._every or _cut_short(trainer):
            return
        if trainer.is_global_zero:
            values = self._evaluate(_evaluated_embedder(trainer, module), str(module.device))
            module.log_dict(
                {f"validation/{name}": value for name, value in values.items()},
                rank_zero_only=True,
            )
            self._remember(trainer, module, values["uap"])
        stop = trainer.strategy.broadcast(self._out_of_patience())
        trainer.should_stop = trainer.should_stop or stop

    def _evaluate(self, embedder: Embedder, device: str) -> dict[str, float]:
        modes = {name: part.training for name, part in embedder.named_modules()}
        embedder.eval()
        # A run killed inside a check leaves features of other weights.
        shutil.rmtree(self._features, ignore_errors=True)
        query_store = extract(
            self._benchmark.queries, embedder, output=self._features / "queries", device=device
        )
        reference_store = extract(
            self._benchmark.references,
            embedder,
            output=self._features / "references",
            device=device,
        )
        queries = query_store.embeddings().as_queries()
        references = reference_store.embeddings().as_references()
        shutil.rmtree(self._features)
        for name, part in embedder.named_modules():
            part.training = modes[name]
        # On the CPU: the GPUs of the other processes are full, and wait.
        pairs = search(queries, references, score=self._score, k=10, engine=FaissFlat(gpus=0))
        result = evaluate(pairs, self._benchmark.truth)
        norms = directional(self._benchmark.truth, queries, references)
        return {
            "uap": float(result.uap),
            "recall_at_p90": float(result.recall_at_p90),
            "recall_at_1": float(result.recall_at_1),
            "norm_order": norms.norm_order_accuracy,
        }

    def _remember(self, trainer: L.Trainer, module: L.LightningModule, uap: float) -> None:
        if uap <= self._best_uap:
            self._checks_since_best += 1
            return
        self._best_uap = uap
        self._best_epoch = trainer.current_epoch
        self._checks_since_best = 0
        card = {"validation_uap": uap, "epoch": trainer.current_epoch}
        save_embedder(_evaluated_embedder(trainer, module), self._best_file, card=card)

    def _out_of_patience(self) -> bool:
        return 0 < self._patience <= self._checks_since_best

    def restore_best(self, embedder: Embedder) -> str:
        """Load the weights of the highest validation µAP into an embedder.

        Returns:
            A line for people; empty where no check was made.
        """
        if self._best_epoch < 0 or not self._best_file.is_file():
            return ""
        with torch.no_grad():
            embedder.load_state_dict(load_embedder(self._best_file).state_dict())
        return f"best validation µAP {self._best_uap:.4f} after epoch {self._best_epoch}"

    def state_dict(self) -> dict[str, Any]:
        """Return the best result so far, for the checkpoint."""
        return {
            "best_uap": self._best_uap,
            "best_epoch": self._best_epoch,
            "checks_since_best": self._checks_since_best,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best result of a resumed training."""
        self._best_uap = state_dict["best_uap"]
        self._best_epoch = state_dict["best_epoch"]
        self._checks_since_best = state_dict["checks_since_best"]


def _cut_short(trainer: L.Trainer) -> bool:
    """Tell whether a limit or a signal ended the epoch before its last batch."""
    done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
    return bool(done < trainer.num_training_batches)


def _evaluated_embedder(trainer: L.Trainer, module: L.LightningModule) -> Embedder:
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        if isinstance(callback, AveragedEmbedder):
            return callback.embedder
    return cast(Embedder, module.embedder)
