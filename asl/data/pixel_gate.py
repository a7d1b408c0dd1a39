"""Limit the pixels that all threads of a process decode at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class PixelGate:
    """Let pictures in while their pixels together stay below a limit; the others wait their turn.

    A picture beyond the limit is let in alone. A thread that is inside passes again freely.
    """

    def __init__(self, limit: int) -> None:
        """Set the limit in pixels."""
        self.limit = limit
        self.reset()

    def reset(self) -> None:
        """Forget who is inside: of the threads of a forked process only one is left."""
        self.inside = 0
        self._turn = threading.Lock()
        self._changed = threading.Condition()
        self._own = threading.local()

    @contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        """Hold a place for a picture of ``pixels``; waits until there is one."""
        if getattr(self._own, "inside", False):
            yield
            return
        with self._turn, self._changed:  # whoever came first waits first
            self._changed.wait_for(lambda: not self.inside or self.inside + pixels <= self.limit)
            self.inside += pixels
        self._own.inside = True
        try:
            yield
        finally:
            self._own.inside = False
            with self._changed:
                self.inside -= pixels
                self._changed.notify_all()


IN_FLIGHT = PixelGate(128_000_000)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=IN_FLIGHT.reset)
