"""Ctrl-C in the middle of the work: one sentence, exit code 130, nothing that is half written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.app.inspection.inspect_path import inspect_path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
SMALL_TRAINING = [
    *("data=folder", "data.train=photos", "data.workers=0", "data.sizes=[32]"),
    *("data.size_starts=[0]", "data.identities=4", "model.backbone=test_resnet"),
    *("model.pretrained=false", "model.size=32", "trainer.accelerator=cpu", "output=run"),
    *("trainer.max_epochs=1000", "trainer.enable_progress_bar=false"),
]
# Verb -> its words, and a file that shows that it works once it is this large.
LEAST = {"scan": 100_000}
VERBS = {
    "extract": (["images=photos", "output=store", "shard_size=8"], "store/shard-*.npy"),
    "search": (["queries=photos", "references=photos", "output=p.csv"], "p.csv.*/*/shard-*.npy"),
    "scan": (["photos", "--output", "found"], "found/*.sqlite-wal"),
    "train": (SMALL_TRAINING, "run/config.yaml"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six hundred small photographs: some seconds of work."""
    folder = tmp_path_factory.mktemp("interrupted")
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    for number in range(600):
        small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "photos" / f"{number}.jpg"), cv2.resize(small, (320, 240)))
    return folder


def works(folder: Path, verb: str) -> bool:
    sizes = [path.stat().st_size for path in folder.glob(VERBS[verb][1])]
    return any(size >= LEAST.get(verb, 0) for size in sizes)


@pytest.mark.parametrize("verb", VERBS)
def test_ctrl_c_is_one_sentence_and_leaves_whole_files(verb: str, folder: Path) -> None:
    words, _ = VERBS[verb]
    process = subprocess.Popen(
        [sys.executable, "-m", f"asl.{verb}", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal signals the whole group
    )
    deadline = time.monotonic() + 120
    while not works(folder, verb) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.endswith("error: stopped; the same command resumes\n")
    assert "Traceback" not in said
    assert not list(folder.rglob(".*.part"))
    findings = inspect_path(folder)
    assert findings
    assert not [finding.damage for finding in findings if finding.damage]
