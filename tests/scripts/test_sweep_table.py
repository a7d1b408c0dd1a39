"""scripts/sweep_table.py: settings become rows, seeds become spread, unfinished runs are named."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "sweep_table.py"


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    runs = [("0", 0, 0.2, 0.1), ("0", 1, 0.4, None), ("0.5", 0, 0.6, 0.3), ("0.5", 1, None, None)]
    for number, (weight, seed, uap, recall) in enumerate(runs):
        folder = tmp_path / str(number) / ".hydra"
        folder.mkdir(parents=True)
        (folder / "overrides.yaml").write_text(
            f"- data=folder\n- loss.weights.norm_ratio={weight}\n- seed={seed}\n"
        )
        if uap is not None:
            scores = {"cosine": {"uap": uap, "recall_at_p90": recall}}
            kinds = {"crop": {"accuracy": 0.5 + uap / 10, "pairs": 7}}
            directional = {"norm_order_accuracy": 0.5 + uap / 10, "by_kind": kinds}
            metrics = {"scores": scores, "directional": directional}
            (folder.parent / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True
    )


def test_a_row_for_each_setting_with_the_spread_of_its_seeds(sweep: Path, tmp_path: Path) -> None:
    done = run(sweep, "--output", tmp_path / "t.csv")
    assert done.stdout.splitlines() == [
        "| loss.weights.norm_ratio | runs | cosine | norms in order |",
        "| --- | --- | --- | --- |",
        "| 0 | 2 | 0.300 ± 0.141 / 0.050 ± 0.071 | 0.530 ± 0.014 |",
        "| 0.5 | 1 | 0.600 / 0.300 | 0.560 |",
    ]
    assert (done.returncode, done.stderr.strip()) == (1, "not finished: 3")
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["cosine_recall_at_p90"] for row in rows] == ["0.1", "0.0", "0.3"]


def test_the_order_of_norms_by_kind_has_a_column_for_each_setting(sweep: Path) -> None:
    done = run(sweep, "--kinds")
    assert done.stdout.splitlines()[5:] == [
        "| norms in order | pairs | 0 | 0.5 |",
        "| --- | --- | --- | --- |",
        "| crop | 7 | 0.530 ± 0.014 | 0.560 |",
    ]


def test_a_folder_without_runs_says_so(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 1
    assert "no finished run" in done.stderr
