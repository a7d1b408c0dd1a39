"""Write precision over recall as a table, for plots of one's own."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from asl.data.csv_rows import cell_of
from asl.metrics.evaluation import Evaluation
from asl.storage import atomic_text, recorded

CURVE_FILE = "precision_recall.csv"
COLUMNS = ("run", "recall", "precision", "score")


def write_curves(path: Path, evaluations: Mapping[str, Evaluation]) -> None:
    """Write the curve of every run, one row a point.

    Accepting scores from ``score`` on gives this recall and precision (of equal scores, those of
    the last point). The points are true pairs: some 400 of a run, evenly spread over its ranking,
    and those of the reported recalls.

    Args:
        path: of the CSV.
        evaluations: run -> its numbers.
    """
    with recorded(path), atomic_text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for run, evaluation in evaluations.items():
            points = zip(*(values.tolist() for values in evaluation.curve), strict=True)
            writer.writerows((cell_of(run), *map(repr, point)) for point in points)
