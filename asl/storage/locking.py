"""Exclusive locks between processes and threads, which end with their holder."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from asl.notices import notice
from asl.types import AslError

WAIT_SECONDS = 3.0  # worker processes of a killed holder may live on for a moment
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
UNPROTECTED = "let only one command at a time write there, nothing else prevents damage"


@contextmanager
def exclusive_lock(
    path: Path, *, busy: str, wait: float = WAIT_SECONDS, unprotected: str = UNPROTECTED
) -> Iterator[bool]:
    """Hold a lock file; the lock is released when the process ends, however it ends.

    Where nothing may be written the block runs without a lock; where the file system has none, too,
    and a notice says what that means. It gets True if the lock is held.

    Args:
        path: the lock file; its folder is created. It is removed on release.
        busy: error message for when another process or thread holds it.
        wait: seconds to try for.
        unprotected: end of the notice: what to do, or what is done, without locks.

    Raises:
        AslError: another process or thread holds the lock.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        yield False
        return
    # A soft lock would outlive a killed process: better none, on file systems without locks.
    lock = FileLock(path, timeout=wait, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise AslError(busy) from error
    except (OSError, NotImplementedError) as error:
        if isinstance(error, NotImplementedError) or error.errno in _NO_LOCKS:
            notice(f"{path.parent}: its file system has no locks; {unprotected}")
        yield False
        return
    try:
        yield True
    finally:
        # Removed while it is held: whoever waits notices that the file has no name any more.
        with suppress(OSError):
            path.unlink(missing_ok=True)
        lock.release()
