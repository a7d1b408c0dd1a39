"""metrics.csv: one row a step, one file a training, however often it was resumed."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from asl.training.metrics_file import MetricsFile
from tests.training.small_training import (
    FOUR_BATCHES,
    KillAt,
    Killed,
    train,
)


@pytest.mark.slow
def test_metrics_of_a_resumed_training_are_one_file_without_repetition(
    photos: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(Killed):
        train(photos, tmp_path, **FOUR_BATCHES, callbacks=(KillAt(6),))
    train(photos, tmp_path, **FOUR_BATCHES)
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows if row["train/loss"]] == [str(step) for step in range(8)]
    assert not list(tmp_path.glob("metrics-*.csv"))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_values_of_one_step_share_a_row(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path / "metrics.csv")
    metrics.log_metrics({"loss": 0.5}, 0)
    metrics.log_metrics({"rate": 0.1}, 0)
    metrics.log_metrics({"loss": 0.25}, 1)
    assert not (tmp_path / "metrics.csv").exists(), "written now and then, not at every step"
    metrics.finalize("success")
    assert rows_of(tmp_path / "metrics.csv") == [
        {"step": "0", "loss": "0.5", "rate": "0.1"},
        {"step": "1", "loss": "0.25", "rate": ""},
    ]


def test_fifty_rows_are_written_without_an_end(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path / "metrics.csv")
    for step in range(50):
        metrics.log_metrics({"loss": 1.0}, step)
    assert len(rows_of(tmp_path / "metrics.csv")) == 50


def test_resuming_drops_the_steps_that_are_trained_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    first = MetricsFile(path)
    for step in range(6):
        first.log_metrics({"loss": float(step)}, step)
    first.save()
    resumed = MetricsFile(path, resumed_step=4)
    resumed.log_metrics({"loss": 40.0}, 4)
    resumed.save()
    assert [row["loss"] for row in rows_of(path)] == ["0.0", "1.0", "2.0", "3.0", "40.0"]
    afresh = MetricsFile(path)
    afresh.log_metrics({"loss": 7.0}, 0)
    afresh.save()
    assert [row["loss"] for row in rows_of(path)] == ["7.0"], "a new training, a new file"
