"""Scale of local features: one run at a small size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2

from tests.matching.conftest import textured

ROOT = Path(__file__).parents[2]


def script(*words: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_collection_grows_with_noisy_copies(tmp_path: Path) -> None:
    photos, others = tmp_path / "photos", tmp_path / "others"
    for folder, seeds in ((photos, range(14)), (others, range(14, 22))):
        folder.mkdir()
        for seed in seeds:
            cv2.imwrite(str(folder / f"{seed}.png"), textured(seed))
    bench = tmp_path / "bench"
    script(
        "scripts/make_benchmark.py",
        photos,
        bench,
        "--copies",
        12,
        "--distractors",
        1,
        "--reverse-crops",
        0,
    )
    words = ("--filler", others, "--images", 5, 60, "--queries", 12, "--probes", 64)
    script_output = script("scripts/bench_scale.py", bench, *words)
    head, *rows = [line.split(" | ") for line in script_output.splitlines()]
    assert head[:3] == ["images", "index", "built, s"]
    names = [(row[0], row[1]) for row in rows]
    least = names[0][0]
    kinds = ("codes, 32 lists", "codes, 64 lists", "one byte a component")
    assert names == [(count, kind) for count in (least, "60") for kind in kinds]
    for row in rows:
        first, among = (float(value) for value in row[7].split(" / "))
        assert 0.5 <= first <= among <= 1
