"""Start trainings as forks of a process that has done the imports."""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Callable
from typing import Any


def fork_server() -> Any:
    """A context whose processes begin with the imports of a training done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.kill_target"])
    process = context.Process(target=time.sleep, args=(0,))
    process.start()  # the imports of the server take longer than a training
    process.join()
    return context


def run_group(context: Any, target: Callable[..., None], *arguments: Any) -> list[int]:
    """Exit codes of ``target(rank, port, *arguments)`` in two processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = [context.Process(target=target, args=(rank, port, *arguments)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]
