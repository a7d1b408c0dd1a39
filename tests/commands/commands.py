"""``python`` and ``asl`` for tests that start many commands."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent


@contextmanager
def started() -> Iterator[Path]:
    """A folder with ``python`` and ``asl``: a server's clients on Linux, else the real ones."""
    if not sys.platform.startswith("linux"):
        yield BIN
        return
    with tempfile.TemporaryDirectory(prefix="asl-") as folder:  # a socket's path must be short
        address = f"{folder}/socket"
        words = [sys.executable, "-IS", str(HERE / "client.py"), sys.executable, address]
        for name, more in (("python", []), ("asl", [str(BIN / "asl")])):
            script = Path(folder, name)
            script.write_text(f'#!/bin/sh\nexec {shlex.join([*words, *more])} "$@"\n')
            script.chmod(0o700)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen(16)
            server = subprocess.Popen(
                [sys.executable, str(HERE / "server.py"), str(listener.fileno())],
                pass_fds=[listener.fileno()],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        with server:  # closes its input and waits for its end
            yield Path(folder)
