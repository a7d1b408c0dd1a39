"""One ``metrics.csv`` for a training, however often it was resumed."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from asl.storage import atomic_text

_FLUSH_ROWS = 50


class MetricsFile(Logger):
    """Append the logged values to a CSV: one row a step, one column a value."""

    def __init__(self, path: Path, *, resumed_step: int | None = None) -> None:
        """Open the file.

        Args:
            path: of the CSV.
            resumed_step: optimiser steps of the checkpoint that is resumed; rows of later steps,
                which are trained again, are dropped. None starts an empty file.
        """
        super().__init__()
        self._path = path
        self._resumed_step = resumed_step
        self._rows: list[dict[str, str]] | None = None
        self._unwritten = 0

    @property
    def name(self) -> str:
        """Return the name of the logger."""
        return "metrics"

    @property
    def version(self) -> str:
        """Return an empty version: a training has one file."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Ignore the hyperparameters: ``config.yaml`` has them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add a row; values of a step that has one go into it."""
        rows = self._read() if self._rows is None else self._rows
        self._rows = rows
        values = {name: repr(float(value)) for name, value in metrics.items()}
        if rows and rows[-1]["step"] == str(step) and not values.keys() & rows[-1].keys():
            rows[-1].update(values)
        else:
            rows.append({"step": str(step), **values})
        self._unwritten += 1
        if self._unwritten >= _FLUSH_ROWS:
            self.save()

    def _read(self) -> list[dict[str, str]]:
        if self._resumed_step is None or not self._path.is_file():
            return []
        with self._path.open(newline="", encoding="utf-8") as file:
            rows = [
                {name: text for name, text in row.items() if text} for row in csv.DictReader(file)
            ]
        return [row for row in rows if int(row.get("step", "0")) < self._resumed_step]

    @rank_zero_only
    def save(self) -> None:
        """Write the file atomically."""
        if not self._unwritten or self._rows is None:
            return
        columns = sorted({name for row in self._rows for name in row} - {"step"})
        with atomic_text(self._path) as file:
            writer = csv.DictWriter(file, ["step", *columns], lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._rows)
        self._unwritten = 0

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the last rows."""
        self.save()
