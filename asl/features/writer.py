"""One writer at a time: two extractions into one store would overwrite each other's shards."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from asl.types import AslError


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


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    with path.open("a") as file:
        try:
            # Of this process alone: decoding processes that outlive a killed one for a moment do not hold it.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            busy = not path.exists() or not os.path.samestat(os.fstat(file.fileno()), path.stat())
        except (BlockingIOError, PermissionError):
            busy = True
        except OSError:
            busy = False  # a file system without locks
        if busy:
            raise AslError(f"{folder}: another process writes into it; wait for it, or choose another output")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
