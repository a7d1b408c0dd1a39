"""scripts/draw_failures.py: false matches and missed copies of different kinds, in pictures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "draw_failures.py"
KINDS = ("crop", "blur", "pad")


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """Found copies c0.., a missed one and an accepted false match of every kind."""
    rng = np.random.default_rng(0)
    truth, predictions = ["query_id,reference_id,kind"], ["query_id,reference_id,score"]
    for side, names in (("queries", ("c", "m", "d")), ("references", ("r", "s"))):
        (tmp_path / side).mkdir()
        for name in names:
            for number in range(30 if name in "cr" else 3):
                picture = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
                cv2.imwrite(str(tmp_path / side / f"{name}{number:02}.png"), picture)
    for number in range(30):
        truth.append(f"c{number:02},r{number:02},flip")
        predictions.append(f"c{number:02},r{number:02},{0.99 - number / 1000}")
    for number, kind in enumerate(KINDS):
        truth += [f"m{number:02},s{number:02},{kind}", f"d{number:02},,distractor {kind}"]
        predictions.append(f"d{number:02},r{number:02},{0.97 + number / 1000}")
    predictions += [
        "c00,s00,0.05",
        "c01,s00,0.05",
        "m01,s01,0.01",
    ]  # so that the threshold lies above them
    (tmp_path / "truth.csv").write_text("\n".join(truth) + "\n")
    (tmp_path / "predictions.csv").write_text("\n".join(predictions) + "\n")
    return tmp_path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True
    )


def test_mistakes_of_every_kind_are_drawn(bench: Path) -> None:
    output = bench / "failures.svg"
    done = run(bench, bench / "predictions.csv", output)
    assert done.returncode == 0, done.stderr
    drawn = output.read_text()
    assert drawn.startswith("<svg")
    assert drawn.count("<image ") == 2 * 2 * len(KINDS)
    assert drawn.count("taken for a copy") == drawn.count("missed") == 3
    assert all(f">{kind}<" in drawn and f">distractor {kind}<" in drawn for kind in KINDS)
    assert drawn.count("no candidate") == 2
    assert "P = 0.01" in drawn


def test_too_few_mistakes_are_said(bench: Path) -> None:
    kept = [
        line for line in (bench / "predictions.csv").read_text().splitlines() if line[0] not in "dm"
    ]
    (bench / "right.csv").write_text(
        "\n".join([*kept, "m00,s00,0.9", "m01,s01,0.9", "m02,s02,0.9"]) + "\n"
    )
    done = run(bench, bench / "right.csv", bench / "none.svg")
    assert done.returncode == 1
    assert "fewer than 3 mistakes" in done.stderr
    assert not (bench / "none.svg").exists()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "never reaches a precision"),
        ("c00,r00,0.9\nc01,elsewhere,0.8\n", "1 ids are not in the benchmark"),
    ],
)
def test_predictions_that_say_nothing_of_the_benchmark_are_refused(
    bench: Path, lines: str, message: str
) -> None:
    (bench / "other.csv").write_text("query_id,reference_id,score\n" + lines)
    done = run(bench, bench / "other.csv", bench / "none.svg")
    assert done.returncode == 1
    assert message in done.stderr
