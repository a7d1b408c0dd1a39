"""Run a script in two processes that know each other."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

# gloo now and then aborts a process while it closes its threads, after all results are there.
_ABORTED = "terminate called without an active exception"


def run_two(script: Path, *arguments: object) -> str:
    """Return what the script prints; fails with its last lines where it fails.

    A run that gloo aborted at its end is repeated once.
    """
    done = _run(script, arguments)
    if done.returncode and _ABORTED in done.stderr:
        done = _run(script, arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _run(script: Path, arguments: tuple[object, ...]) -> subprocess.CompletedProcess[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]
    return subprocess.run(
        [*words, f"--master_port={port}", str(script), *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
