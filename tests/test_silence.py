"""Nothing is reported about the use of this package, and no trace of it is left in the home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import numpy as np
from asl.matching.align.xfeat import detect_xfeat
image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
assert len(detect_xfeat(image).points)
"""


def test_onnx_runtime_neither_reports_its_use_nor_keeps_an_identifier(tmp_path: Path) -> None:
    """Its telemetry keeps an identifier of the device below the cache folder of the user."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    environment = kept | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    command = [sys.executable, "-c", PROGRAM]
    subprocess.run(command, cwd=home, env=environment, check=True, timeout=120)
    assert [str(path) for path in home.rglob("*")] == []
