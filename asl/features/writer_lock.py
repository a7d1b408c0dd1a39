"""One writer per feature store: two would overwrite each other's shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from asl.storage import exclusive_lock


@contextmanager
def one_writer(stores: Iterable[Path]) -> Iterator[None]:
    """Hold the write locks of some stores; they are released however the process ends.

    Args:
        stores: their folders.

    Raises:
        AslError: another process or thread writes into one of them.
    """
    with ExitStack() as stack:
        for folder in stores:
            busy = (
                f"{folder}: another process writes into it; wait for it, or choose another output"
            )
            stack.enter_context(exclusive_lock(folder.resolve() / ".lock", busy=busy))
        yield
