"""Least-recently-used cache in memory, limited by the total size of its values."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class LruCache(Generic[Key, Value]):
    """LRU cache with a limit on the sum of sizes; for one thread at a time."""

    def __init__(self, most: int) -> None:
        """Set the limit ``most`` on the sum of the sizes given to :meth:`put`."""
        self._most = most
        self._total = 0
        self._values: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """Return the value and mark it as used; None where it is missing."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: Key, value: Value, size: int = 1) -> None:
        """Store a value, evicting the least recently used; one above the limit is not stored."""
        _, before = self._values.pop(key, (None, 0))
        self._total -= before
        if size > self._most:
            return
        self._values[key] = value, size
        self._total += size
        while self._total > self._most:
            _, (_, freed) = self._values.popitem(last=False)
            self._total -= freed

    def __len__(self) -> int:
        return len(self._values)
