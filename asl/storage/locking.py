"""Exclusive locks between processes and threads, which end with their holder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from asl.types import AslError

WAIT_SECONDS = 3.0  # worker processes of a killed holder may live on for a moment


@contextmanager
def exclusive_lock(path: Path, *, busy: str, wait: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold a lock file; the lock is released when the process ends, however it ends.

    Where nothing may be written, or the file system has no locks, the block runs without one.

    Args:
        path: the lock file; its folder is created. It is removed on release.
        busy: error message for when another process or thread holds it.
        wait: seconds to try for.

    Raises:
        AslError: another process or thread holds the lock.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        yield
        return
    # A soft lock would outlive a killed process: better none, on file systems without locks.
    lock = FileLock(path, timeout=wait, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise AslError(busy) from error
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        # Removed while it is held: whoever waits notices that the file has no name any more.
        with suppress(OSError):
            path.unlink(missing_ok=True)
        lock.release()
