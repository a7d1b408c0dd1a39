r"""Make one table of a Hydra sweep: the keys that differ between runs, and their scores.

  python -m asl.train -m data=folder data.train=PHOTOS data.benchmark=BENCH \
      loss.weights.norm_ratio=0,0.5 seed=0,1,2
  python scripts/sweep_table.py multirun/train-20261124-120000
  python scripts/sweep_table.py SWEEP --scores cosine hinge --kinds --output sweep.csv

One row per setting; runs that differ only in `seed` share a row as mean ± standard deviation. Each
cell is µAP / recall at 90 % precision. *norms in order*: share of the true pairs whose reference
has the larger norm; --kinds adds a table of it by kind of query. Runs that did not finish are
listed.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from asl.types import AslError

Setting = tuple[tuple[str, str], ...]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--scores", nargs="+", help="which score modes; all unless given")
    parser.add_argument("--kinds", action="store_true", help="norms in order by kind of query")
    parser.add_argument("--output", type=Path, help="the same numbers as CSV")
    options = parser.parse_args()
    try:
        runs, unfinished = read_sweep(options.sweep)
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    rows = summarise(runs)
    scores = options.scores or list(next(iter(runs))[1]["scores"])
    print(table(rows, scores))
    if options.kinds:
        print("\n" + kinds_table(rows))
    for name in unfinished:
        print(f"not finished: {name}", file=sys.stderr)
    if options.output:
        write_csv(rows, scores, options.output)
    return 1 if unfinished else 0


def read_sweep(folder: Path) -> tuple[list[tuple[dict[str, str], dict[str, Any]]], list[str]]:
    """(overrides, metrics) of the finished runs, and the folders of the others.

    Raises:
        AslError: no finished run.
    """
    runs, unfinished = [], []
    for overrides in sorted(
        folder.glob("*/.hydra/overrides.yaml"), key=lambda path: path.parent.parent.name
    ):
        run = overrides.parent.parent
        metrics = run / "metrics.json"
        if not metrics.is_file():
            unfinished.append(run.name)
            continue
        entries = yaml.safe_load(overrides.read_text())
        chosen = dict(entry.lstrip("+").partition("=")[::2] for entry in entries)
        runs.append((chosen, json.loads(metrics.read_text())))
    if not runs:
        raise AslError(
            f"{folder}: holds no finished run of a sweep (no N/metrics.json); set data.benchmark"
        )
    return runs, unfinished


def summarise(
    runs: Iterable[tuple[dict[str, str], dict[str, Any]]],
) -> dict[Setting, list[dict[str, Any]]]:
    """What differs between the runs (the seed aside) -> the metrics of the runs that share it."""
    runs = list(runs)
    names = {name for chosen, _ in runs for name in chosen}
    varied = sorted(
        name for name in names - {"seed"} if len({chosen.get(name) for chosen, _ in runs}) > 1
    )
    rows: dict[Setting, list[dict[str, Any]]] = {}
    for chosen, metrics in runs:
        rows.setdefault(tuple((name, chosen.get(name, "")) for name in varied), []).append(metrics)
    return rows


def values_of(group: list[dict[str, Any]], score: str) -> tuple[list[float], list[float]]:
    """Average µAP and R@P90 of the runs of a row; a precision that is not reached counts as 0."""
    evaluations = [metrics["scores"][score] for metrics in group]
    return [one["uap"] for one in evaluations], [one["recall_at_p90"] or 0.0 for one in evaluations]


def spread(values: list[float]) -> str:
    """Mean, and standard deviation where there are several."""
    mean = f"{statistics.fmean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def table(rows: dict[Setting, list[dict[str, Any]]], scores: list[str]) -> str:
    """The rows as Markdown."""
    names = [name for name, _ in next(iter(rows))]
    lines = [[*names, "runs", *scores, "norms in order"]]
    lines.append(["---"] * len(lines[0]))
    for setting, group in rows.items():
        cells = [" / ".join(map(spread, values_of(group, score))) for score in scores]
        order = spread([metrics["directional"]["norm_order_accuracy"] for metrics in group])
        lines.append([*(value for _, value in setting), str(len(group)), *cells, order])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def kinds_table(rows: dict[Setting, list[dict[str, Any]]]) -> str:
    """Norms in order, one line a kind of query, one column a setting, as Markdown."""
    titles = [" ".join(value for _, value in setting) or "all" for setting in rows]
    groups = [[metrics["directional"]["by_kind"] for metrics in group] for group in rows.values()]
    lines = [["norms in order", "pairs", *titles]]
    lines.append(["---"] * len(lines[0]))
    for kind in sorted({kind for group in groups for kinds in group for kind in kinds}):
        found = [[kinds[kind] for kinds in group if kind in kinds] for group in groups]
        pairs = max(one["pairs"] for group in found for one in group)
        cells = [spread([one["accuracy"] for one in group]) if group else "" for group in found]
        lines.append([kind, str(pairs), *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_csv(rows: dict[Setting, list[dict[str, Any]]], scores: list[str], path: Path) -> None:
    """One line a run: its setting, then both numbers of every score."""
    names = [name for name, _ in next(iter(rows))]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                *names,
                *(f"{score}_{what}" for score in scores for what in ("uap", "recall_at_p90")),
                "norms",
            ]
        )
        for setting, group in rows.items():
            for number, metrics in enumerate(group):
                numbers = [values[number] for score in scores for values in values_of(group, score)]
                order = metrics["directional"]["norm_order_accuracy"]
                writer.writerow([*(value for _, value in setting), *numbers, order])


if __name__ == "__main__":
    sys.exit(main())
