"""Start commands from one process that has loaded the heavy libraries already.

A fresh interpreter takes seconds to load PyTorch and its friends; a fork of this one, a moment.
``client.py`` stands in for ``python``: it hands over its words, environment, folder and streams,
passes signals on, and ends as the command ends. Limits (`ulimit`) and process groups are not
handed over: tests of those start an interpreter of their own.

The server only imports: after a parallel region or with a thread, a fork could hang. It ends with
its standard input, which the test process holds.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

# In this order. Neither onnxruntime nor pyarrow (scikit-learn loads it): each starts a thread.
LIBRARIES = ("torch", "timm", "lightning", "albumentations", "faiss", "hydra")
# The interpreter or a library reads these once, at its start.
READ_AT_START = ("PYTHON", "LD_", "MALLOC_", "OMP_", "OPENBLAS_", "MKL_", "TORCH", "HF_", "HOME")
ENVIRONMENT = dict(os.environ)


@dataclass
class Request:
    """A command as its client was started."""

    words: list[str]
    environment: dict[str, str]
    folder: str
    umask: int
    ignored: list[int]


def alike(environment: dict[str, str]) -> bool:
    """Whether a fresh interpreter would start with the settings that this one started with."""

    def settings(of: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in of.items() if name.startswith(READ_AT_START)}

    return settings(environment) == settings(ENVIRONMENT)


def load() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        sys.exit(f"{threads} threads after the imports of {__file__}: a fork is not safe")
    gc.collect()
    gc.freeze()


def serve(listener: socket.socket) -> list[str]:
    """Fork a process for each command; returns in that process, with the words of the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended minders leave no zombie
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            os._exit(0)
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            return mind(connection)
        connection.close()


def mind(connection: socket.socket) -> list[str]:
    """Watch over a command and its client; returns in the process of the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, streams = receive(connection)
    if not alike(request.environment):
        connection.sendall(b"0\n")
        os._exit(0)
    command = os.fork()
    if command == 0:
        connection.close()
        become(request, streams)
        return request.words
    for stream in (0, *streams):
        os.close(stream)
    with contextlib.suppress(OSError):  # the client is gone
        connection.sendall(f"{command}\n".encode())
    ready, _, _ = select.select([connection, os.pidfd_open(command)], [], [])
    if connection in ready:
        os.kill(command, signal.SIGKILL)
    _, status = os.waitpid(command, 0)
    with contextlib.suppress(OSError):
        connection.sendall(f"{status}\n".encode())
    os._exit(0)


def receive(connection: socket.socket) -> tuple[Request, list[int]]:
    """The request and the client's three standard streams."""
    length, streams, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as file:
        fields = json.loads(file.read(int.from_bytes(length, "big")))
    return Request(**fields), streams


def become(request: Request, streams: list[int]) -> None:
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request.folder)
    os.umask(request.umask)
    by_imports = dict(os.environ.items() - ENVIRONMENT.items())
    os.environ.clear()
    os.environ.update(request.environment | by_imports)
    for number in request.ignored:
        signal.signal(number, signal.SIG_IGN)
    import numpy as np

    np.random.seed()  # else each command draws the same numbers


def run(words: list[str]) -> None:
    """Do what ``python`` does with these words."""
    if words[0] == "-m":
        sys.argv, sys.path[0] = words[1:], os.getcwd()
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return
    main = sys.modules["__main__"] = ModuleType("__main__")
    if words[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *words[2:]], ""
        code = compile(words[1], "<string>", "exec")
    else:
        sys.argv, sys.path[0] = words, os.path.dirname(os.path.realpath(words[0]))
        main.__file__ = os.path.abspath(words[0])
        code = compile(Path(words[0]).read_bytes(), words[0], "exec")
    exec(code, vars(main))


def leave(codes: list[int]) -> None:
    """End without taking the libraries apart, which takes longer than many a command."""
    if codes:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(codes[0])


def main() -> None:
    codes: list[int] = []
    atexit.register(leave, codes)  # the first to be registered is the last to be called
    load()
    words = serve(socket.socket(fileno=int(sys.argv[1])))
    try:
        run(words)
        codes.append(0)
    except SystemExit as ending:
        if isinstance(ending.code, int | None):
            codes.append(ending.code or 0)
        raise


if __name__ == "__main__":
    main()
