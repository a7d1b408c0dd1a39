"""Processes that work on hostile input within limits of time and memory, and are ended beyond.

A decoder cannot be interrupted from inside its process. Each process here takes one task at a time
and is kept warm for the next; the system ends it at its processor time, refuses it memory beyond
its limit, and a crash of the decoder costs one task.
"""

from __future__ import annotations

import atexit
import ctypes
import io
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from asl.types import AslError

Parts = tuple[str, list[npt.NDArray[Any]]]  # what a task returns
Task = Callable[[bytes], Parts]
_PROGRAM = "from asl.data.endable_process import work_for_parent; work_for_parent()"
_HEAD = struct.Struct("<Q")
_KEPT = 32 * 2**20  # bytes that a process may keep from earlier tasks
_WALL = 8  # times the processor time after which a process that waits or sleeps is ended


class OutOfBudgetError(AslError):
    """A task was ended, or crashed."""


@dataclass(frozen=True)
class Budget:
    """Limits of one task.

    Attributes:
        seconds: of processor time.
        memory: bytes of the process, beside those that it has without a task.
    """

    seconds: float
    memory: int

    @property
    def memory_reason(self) -> str:
        """Reason of a refusal."""
        return f"decoding takes more than {self.memory / 1e6:.0f} MB of memory"


class EndablePool:
    """Start processes as they are needed, at most one for each thread that waits for a task."""

    def __init__(self, most: int) -> None:
        """Set the largest number of processes."""
        self._most = most
        self._places = threading.BoundedSemaphore(most)
        self._idle: list[_Process] = []
        self._foreign: list[_Process] = []  # held, because Python would wait for their end
        atexit.register(self.close)

    def run(self, task: Task, data: bytes, budget: Budget) -> Parts:
        """Call ``task(data)`` in another process.

        Args:
            task: picklable; its module is imported there.
            data: its argument.
            budget: limits.

        Raises:
            OutOfBudgetError: the limits were exceeded, or the process crashed.
            AslError: the task raised one; the message is the same.
        """
        with self._places:
            process = self._idle.pop() if self._idle else _Process()
            try:
                reply = process.run(task, data, budget)
            except BaseException:
                process.end()
                raise
            self._idle.append(process)
        return _unpacked(reply)

    def warm(self, count: int) -> None:
        """Start processes before the first task."""
        self._idle.extend(_Process() for _ in range(count - len(self._idle)))

    def forget(self) -> None:
        """Start afresh in a forked process: the processes belong to its parent."""
        self._places = threading.BoundedSemaphore(self._most)
        self._foreign += self._idle
        self._idle = []

    def close(self) -> None:
        """End all idle processes."""
        while self._idle:
            self._idle.pop().end()


class _Process:
    def __init__(self) -> None:
        # Its memory is limited: none of it is taken in advance.
        environment = {key: value for key, value in os.environ.items() if key[:7] != "MALLOC_"}
        environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the parent
        )
        self._late = False

    def run(self, task: Task, data: bytes, budget: Budget) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer = threading.Timer(_WALL * budget.seconds, self._end_late)
        timer.daemon = True
        timer.start()
        try:
            _send(self._process.stdin, pickle.dumps((task, budget)))
            _send(self._process.stdin, data)
            reply = _receive(self._process.stdout)
        except OSError:  # it ended while it was written to
            reply = None
        finally:
            timer.cancel()
        if reply is None:
            raise OutOfBudgetError(self._cause(budget))
        return reply

    def _end_late(self) -> None:
        self._late = True
        self._process.kill()

    def _cause(self, budget: Budget) -> str:
        code = self._process.wait()
        if self._late or code == -getattr(signal, "SIGXCPU", 0):
            return f"decoding takes more than {budget.seconds:g} s of processor time"
        if code == -getattr(signal, "SIGKILL", 0):
            return budget.memory_reason
        return f"the decoder crashed (exit code {code})"

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not yet written has no reader
                    pipe.close()


def _send(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(_HEAD.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    """Read a message; None at the end of the stream."""
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    (length,) = _HEAD.unpack(head)
    data = pipe.read(length)
    return data if len(data) == length else None


def work_for_parent() -> None:
    """Work on the tasks of the parent process until its pipe closes."""
    import cv2

    import asl.data.images  # noqa: F401  # imported before the first task

    cv2.setNumThreads(1)
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    own = _data_bytes()
    # A library that prints writes no reply.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    while (message := _receive(source)) is not None:
        data = _receive(source)
        if data is None:
            return
        task, budget = pickle.loads(message)  # from the parent, not from outside
        _limit(budget, own)
        try:
            reply = _packed(task(data))
        except AslError as error:
            reply = b"!" + str(error).encode()
        except MemoryError:
            reply = f"!{budget.memory_reason}".encode()
        except Exception as error:
            reply = f"!cannot be decoded: {type(error).__name__}: {str(error)[:120]}".encode()
        _send(sink, reply)
        del data, reply
        _trim()


def _trim() -> None:
    """Give freed memory back to the system: the next task has the same room as the first."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of the GNU library
        if trim is not None:
            trim(0)


def _limit(budget: Budget, own: int) -> None:
    """Set the limits of the next task, where the system has them.

    Args:
        budget: of the task.
        own: bytes that this process had before its first task.
    """
    if sys.platform == "win32":
        return
    import resource

    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, int(time.process_time() + budget.seconds) + 1),
        (resource.RLIMIT_DATA, budget.memory + min(_data_bytes(), own + _KEPT)),
    ):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (limit if hard < 0 else min(limit, hard), hard))


def _data_bytes() -> int:
    """Return the size of the data segments of this process: memory that it asked for."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _packed(parts: Parts) -> bytes:
    text, arrays = parts
    buffer = io.BytesIO()
    buffer.write(b"=" + _HEAD.pack(len(text.encode())) + text.encode())
    for array in arrays:
        np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _unpacked(reply: bytes) -> Parts:
    """Read a reply; its sender decoded hostile input, so nothing of it is unpickled."""
    if reply[:1] == b"!":
        raise AslError(reply[1:].decode("utf-8", "replace"))
    buffer = io.BytesIO(reply)
    buffer.read(1)
    (length,) = _HEAD.unpack(buffer.read(_HEAD.size))
    text = buffer.read(length).decode()
    arrays = []
    while buffer.tell() < len(reply):
        arrays.append(np.load(buffer, allow_pickle=False))
    return text, arrays
