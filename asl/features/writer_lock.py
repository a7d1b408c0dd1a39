"""One writer at a time: two extractions into one store would overwrite each other's shards."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from asl.types import AslError

_BUSY = "another process writes into it; wait for it, or choose another output"


@contextmanager
def one_writer(stores: Iterable[Path]) -> Iterator[None]:
    """Hold some stores; whatever way the process ends, it lets go of them.

    Raises:
        AslError: another process writes into one of them.
    """
    with ExitStack() as stack:
        for folder in stores:
            stack.enter_context(_held(folder))
        yield


_held_here: set[Path] = set()  # a lock of the system does not tell the threads of a process apart
_guard = threading.Lock()


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    here = folder.resolve()
    with _guard:
        busy = here in _held_here
        _held_here.add(here)
    if busy:
        raise AslError(f"{folder}: {_BUSY}")
    try:
        with _locked(folder):
            yield
    finally:
        with _guard:
            _held_here.discard(here)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        import fcntl

        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a")
    except (
        ImportError,
        OSError,
    ):  # no such locks on this system, or nothing can be written there anyway
        yield
        return
    with file:
        try:
            # Of this process alone: decoding processes that outlive a killed one for a moment do
            # not hold it.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            busy = not os.path.samestat(os.fstat(file.fileno()), (folder / ".lock").stat())
        except (
            BlockingIOError,
            PermissionError,
            FileNotFoundError,
        ):  # the last: its holder has just let go of it
            busy = True
        except OSError:
            busy = False  # a file system without locks
        if busy:
            raise AslError(f"{folder}: {_BUSY}")
        try:
            yield
        finally:
            (folder / ".lock").unlink(missing_ok=True)
