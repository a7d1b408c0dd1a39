"""Work spread over spawned processes, each of which holds one worker object."""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any, TypeVar

import cv2

from asl.types import AslError

Item = TypeVar("Item")
Result = TypeVar("Result")


def spawned_map(
    worker: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    processes: int,
    chunk: int = 1,
    ahead: int = 3,
    what: str = "the image loaders",
) -> Generator[Result, None, None]:
    """Apply a worker object to items in several processes and yield the results in order.

    Processes are spawned, because a forked child of a process that runs threads (torch, OpenCV) may
    hang. Each one receives the worker once, runs OpenCV on one thread, and ends when this process
    does. Items are taken from their iterable as they are needed.

    Args:
        worker: item -> result; picklable, with everything that it needs.
        items: picklable.
        processes: number of processes, 1 or more.
        chunk: items that are sent to a process together.
        ahead: chunks in the works for each process.
        what: words for the worker in the error message where it cannot be pickled.

    Raises:
        AslError: the worker cannot be sent to other processes, or a process ended unexpectedly.
            What the worker raises is raised here.
    """
    packed = _packed(worker, processes, what)
    pool = ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_start, initargs=(packed,)
    )
    waiting: deque[Future[list[Result]]] = deque()
    try:
        for part in _chunks(items, chunk):
            waiting.append(pool.submit(_work, part))
            if len(waiting) >= ahead * processes:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise AslError(
            f"workers={processes}: a worker process ended unexpectedly (killed, out of memory, or "
            "started by a script without `if __name__ == '__main__':`); use fewer workers, or "
            "workers=0 to work in this process"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def usable_cores() -> int:
    """Return the number of cores that this process may use, 1 or more."""
    if sys.platform == "linux":  # a container or a batch system may grant fewer than there are
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def _packed(worker: object, processes: int, what: str) -> bytes:
    try:
        return pickle.dumps(worker)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AslError(
            f"workers={processes}: {what} cannot be sent to other processes ({error}); "
            "give functions of a module or picklable objects, or workers=0"
        ) from error


_WORKER: list[Callable[[Any], Any]] = []  # of this process


def _start(packed: bytes) -> None:
    end_with_parent()
    cv2.setNumThreads(1)
    _WORKER[:] = [pickle.loads(packed)]


def _work(items: list[Any]) -> list[Any]:
    return [_WORKER[0](item) for item in items]


def end_with_parent() -> None:
    """End this worker process when its parent ends: a killed parent tells its children nothing."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(parent: int) -> None:
    wait([parent])
    os._exit(1)
