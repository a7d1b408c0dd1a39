"""A small run of each campaign in scripts/fuzz; large ones are run by hand."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "scripts" / "fuzz"


def campaign(script: str, *words: str, report: Path) -> dict[str, dict[str, dict[str, int]]]:
    command = [sys.executable, str(FOLDER / script), "--report", str(report), "--limit", "60"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    parts: dict[str, dict[str, dict[str, int]]] = json.loads(report.read_text())
    return parts


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    report = campaign("files.py", "--count", "25", report=tmp_path / "r.json")
    assert len(report) == 18
    for kind, part in report.items():
        assert sum(part["counts"].values()) == 25, kind


def test_damaged_pictures_are_decoded_or_refused(tmp_path: Path) -> None:
    report = campaign("pictures.py", "--count", "400", report=tmp_path / "r.json")
    assert {"JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM"} <= report.keys()
    outcomes = {name for part in report.values() for name in part["counts"]}
    assert outcomes == {"decoded", "refused"}


def test_random_values_of_keys_are_refused(tmp_path: Path) -> None:
    verbs = ["scan", "serve", "extract", "search", "evaluate", "edit", "export", "doctor"]
    words = ["--count", "25", "--seed", "3", "--only", *verbs]
    report = campaign("keys.py", *words, report=tmp_path / "r.json")
    assert {name for part in report.values() for name in part["counts"]} == {"refused"}


def test_a_crash_and_a_hang_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    import os
    import time

    from campaign import run_cases

    def job(number: int) -> str:
        if number == 1:
            os._exit(3)
        if number == 2:
            time.sleep(60)
        if number == 3:
            raise KeyError("x")
        return "refused"

    found = run_cases(lambda: job, 5, limit=2.0)
    assert found["counts"] == {"refused": 2, "crash": 1, "hang": 1, "traceback": 1}
    assert found["examples"]["crash"] == ["case 1: exit code 3"]


def test_mutations_change_something_and_follow_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    from mutations import mutated

    data = bytes(range(64))
    drawn = [mutated(random.Random(seed), data) for seed in range(60)]
    assert all(changed != data for _, changed in drawn)
    assert len({name for name, _ in drawn}) == 7
    assert drawn == [mutated(random.Random(seed), data) for seed in range(60)]
