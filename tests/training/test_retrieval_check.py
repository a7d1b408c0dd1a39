"""Validation by retrieval: best weights are kept, patience ends a training, norms are logged."""

from __future__ import annotations

import csv
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from asl.data.catalog import open_catalog
from asl.data.layouts import Benchmark
from asl.models import load_embedder
from asl.scoring.score import Score
from asl.training.retrieval_check import BEST, RetrievalCheck
from asl.types import TruthPairs, as_ids
from tests.training.small_training import Steps, train


def check(photos: Path, output: Path, scores: list[float] | None, **keys: int) -> RetrievalCheck:
    """Check a benchmark of the photographs themselves; scores replace the measured µAP."""
    images = open_catalog(photos)
    ids = as_ids(images.ids.tolist(), name="photos")
    benchmark = Benchmark("photos", images, images, TruthPairs(ids, ids, ids, {}))
    made = RetrievalCheck(benchmark, score=Score(), every=1, output=output, **keys)
    if scores is not None:
        values = iter(scores)
        made._evaluate = lambda embedder, device: {"uap": next(values)}  # type: ignore[method-assign]
    return made


class Weights(Callback):
    """The first weights at the end of every epoch."""

    def __init__(self) -> None:
        self.kept: list[torch.Tensor] = []

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.kept.append(module.embedder.backbone.conv1[0].weight.detach().clone())


@pytest.mark.slow
def test_the_best_weights_are_kept_and_patience_ends_the_training(
    photos: Path, tmp_path: Path
) -> None:
    best = check(photos, tmp_path, [0.1, 0.5, 0.5, 0.2, 0.9], patience=2)
    seen, steps = Weights(), Steps()
    module = train(photos, tmp_path, max_epochs=5, callbacks=(seen, best, steps))
    assert steps.epochs == [0, 1, 2, 3], "two checks without a higher µAP"
    assert best.restore_best(module.embedder) == "best validation µAP 0.5000 after epoch 1"
    assert torch.equal(module.embedder.backbone.conv1[0].weight, seen.kept[1])
    kept = load_embedder(tmp_path / "checkpoints" / BEST)
    assert torch.equal(kept.backbone.conv1[0].weight, seen.kept[1])  # type: ignore[union-attr,index]
    again = Steps()
    resumed = check(photos, tmp_path, [], patience=2)
    train(photos, tmp_path, max_epochs=5, callbacks=(resumed, again))
    assert not again.epochs, "patience is part of the checkpoint"


@pytest.mark.slow
def test_a_check_searches_and_measures_the_order_of_norms(photos: Path, tmp_path: Path) -> None:
    train(photos, tmp_path, max_epochs=1, callbacks=(check(photos, tmp_path, None),))
    with (tmp_path / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row.get("validation/uap")]
    assert len(rows) == 1
    assert float(rows[0]["validation/recall_at_1"]) == 1.0, "every photograph finds itself"
    assert float(rows[0]["validation/norm_order"]) == 0.5, "whose norm is its own"
    assert np.isfinite(float(rows[0]["validation/recall_at_p90"]))
    assert not (tmp_path / "check").exists()
