"""Run a scan in this process and read what it wrote."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from asl.cli import start


def scan(*arguments: object) -> int:
    """Run the command; return its exit code."""
    return start("scan", [str(argument) for argument in arguments])


def run_scan(photos: Path, model: Path, output: Path, *more: object) -> None:
    """Scan with a model of random weights, whose probabilities are low."""
    quick = ("--precision", "0.6", "--workers", 1, "--quiet", "--max-failure-rate", 0.5)
    assert scan(photos, "--model", model, "--output", output, *quick, *more) == 0


def scanned(photos: Path, model: Path, output: Path, *more: object) -> list[dict[str, str]]:
    """Scan and return the rows of the table."""
    run_scan(photos, model, output, *more)
    with (output / "copies.csv").open() as file:
        return list(csv.DictReader(file))


def summary(output: Path) -> dict[str, float]:
    return json.loads((output / "summary.json").read_text())


def names(rows: list[dict[str, str]]) -> set[tuple[str, str, str]]:
    return {(Path(row["original"]).name, Path(row["copy"]).name, row["direction"]) for row in rows}


def page_data(output: Path) -> dict[str, Any]:
    """Data of the gallery."""
    page = (output / "gallery.html").read_text()
    return json.loads(page.split('type="application/json">')[1].split("</script>")[0])
