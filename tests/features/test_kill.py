"""Twenty times ``kill -9`` at random moments of one extraction."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from asl.data.scenes import render_scene

# Imports once, then forks a child per attempt: the kills hit the work, not Python's start.
DRIVER = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from asl.data.catalog import open_catalog
from asl.features import extract
from asl.models import load_embedder

torch.set_num_threads(1)
photos, model, folder = sys.argv[1:]
catalog, embedder = open_catalog(photos), load_embedder(model)
options = {"batch_size": 2, "shard_size": 3}

def attempt(output, delay=None):
    child = os.fork()
    if child == 0:
        try:
            extract(catalog, embedder, output=output, **options)
        finally:
            os._exit(0)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]

start = time.perf_counter()
attempt(f"{folder}/whole")
whole = time.perf_counter() - start
rng, output = random.Random(int(os.environ.get("SEED", "0"))), Path(folder) / "killed"
kills = working = 0
while kills < 20 or working < 3:
    # Mostly early, so that many attempts are needed; later where a busy machine got nowhere. The
    # store only ever grows.
    reach = 0.1 if kills < 20 else 0.4
    before = len(list(output.glob("shard-*.json"))) if output.exists() else 0
    status = attempt(output, rng.uniform(0.0, reach) * whole)
    kills += os.WIFSIGNALED(status)
    after = len(list(output.glob("shard-*.json"))) if output.exists() else 0
    assert after >= before, "a kill lost a shard"
    working += after > before
    if not os.WIFSIGNALED(status):
        break
attempt(output)
print(kills, working)
"""


@pytest.mark.slow
def test_a_store_that_was_killed_twenty_times_is_byte_identical(tmp_path: Path) -> None:
    from asl.models import build_embedder, save_embedder

    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(120):
        cv2.imwrite(
            str(photos / f"{number:03d}.jpg"),
            render_scene(number % 9, height=64 + number % 40, width=90),
        )
    (photos / "031.jpg").write_bytes(b"broken")
    save_embedder(
        build_embedder(backbone="mobilenetv3_small_050", size=96, dim=8).eval(),
        tmp_path / "m",
        card={},
    )
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        DRIVER,
        str(photos),
        str(next(tmp_path.glob("m*"))),
        str(tmp_path),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    kills, working = map(int, done.stdout.split())
    assert kills >= 20, "the attempts were killed while they worked"
    assert working >= 3, "and the store grew in between"
    sides = [
        {
            p.name: p.read_bytes()
            for p in (tmp_path / name).iterdir()
            if not p.name.endswith(".part")
        }
        for name in ("whole", "killed")
    ]
    assert len(sides[0]) == 81, "40 shards of two files, and the manifest"
    assert sides[0] == sides[1]
