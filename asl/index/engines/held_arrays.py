"""Device copies of host arrays: one per array and row order, dropped when the array dies."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from asl.types import F32, I64

Copy = TypeVar("Copy")
_Key = tuple[int, tuple[int, ...], tuple[int, ...], bool]


@dataclass(frozen=True, eq=False)
class _Entry(Generic[Copy]):
    """One copy, with a weak reference to the host array and its identity."""

    array: weakref.ref[Any]
    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    order: I64 | None
    copy: Copy

    def run(self, rows: F32) -> tuple[int, int] | None:
        """Return which run of the array's rows ``rows`` is a view of; None: of none."""
        first, rest = divmod(rows.ctypes.data - self.address, self.strides[0])
        if rows.strides != self.strides or rows.shape[1:] != self.shape[1:] or rest:
            return None
        inside = 0 <= first <= self.shape[0] - len(rows)
        return (first, first + len(rows)) if inside else None


class HeldArrays(Generic[Copy]):
    """Copies of arrays, the least recently used first; a copy is freed when its array dies.

    Safe for several threads.

    >>> held: HeldArrays[str] = HeldArrays()
    >>> vectors = np.zeros((2, 3), dtype=np.float32)
    >>> held.put(vectors, None, "copy on the device")
    >>> held.get(vectors, None)
    'copy on the device'
    >>> del vectors
    >>> len(held)
    0
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[_Key, _Entry[Copy]] = OrderedDict()
        self._lock = threading.RLock()  # an array may die while its own thread holds the lock

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, array: F32, order: I64 | None) -> Copy | None:
        """Return the copy of an array in this order of its rows; None: it is not held."""
        key = _key(array, order)
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.array() is None or not _same(entry.order, order):
                return None
            self._entries.move_to_end(key)
            return entry.copy

    def find_run(self, rows: F32) -> tuple[Copy, int, int] | None:
        """Find the copy in the array's own order that has these rows: (copy, low, high)."""
        with self._lock:
            entries = list(self._entries.values())
        for entry in entries:
            run = entry.run(rows) if entry.order is None and entry.array() is not None else None
            if run is not None:
                return entry.copy, *run
        return None

    def put(self, array: F32, order: I64 | None, copy: Copy) -> None:
        """Keep a copy for as long as its array lives; one in another order is replaced."""
        key = _key(array, order)

        def forget(dead: weakref.ref[Any]) -> None:
            with self._lock:
                entry = self._entries.get(key)
                # The memory, and with it the key, may belong to another array by now.
                if entry is not None and entry.array is dead:
                    del self._entries[key]

        reference = weakref.ref(array, forget)
        address = array.ctypes.data
        with self._lock:
            self._entries[key] = _Entry(reference, address, array.shape, array.strides, order, copy)
            self._entries.move_to_end(key)

    def drop_oldest(self) -> bool:
        """Free the least recently used copy; False: nothing is held."""
        with self._lock:
            if not self._entries:
                return False
            self._entries.popitem(last=False)
            return True

    def clear(self) -> None:
        """Free all copies."""
        with self._lock:
            self._entries.clear()


def _key(array: F32, order: I64 | None) -> _Key:
    return array.ctypes.data, array.shape, array.strides, order is None


def _same(first: I64 | None, second: I64 | None) -> bool:
    if first is None or second is None:
        return first is second
    return first is second or bool(np.array_equal(first, second))
