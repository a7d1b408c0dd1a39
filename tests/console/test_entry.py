"""The contract of every command: exit codes, help, wrong keys, configuration found anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ}
    )


def test_a_missing_value_is_wrong_use(tmp_path: Path) -> None:
    done = run("asl.extract", "model=lite0", cwd=tmp_path)
    assert done.returncode == 2
    assert "images" in done.stderr
