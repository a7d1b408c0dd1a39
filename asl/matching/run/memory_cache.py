"""What was used last, in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Values by key, of which those that were not used for the longest time go first; for one thread at a time."""

    def __init__(self, most: int) -> None:
        """Set how much is kept: the sum of the sizes given to :meth:`put`."""
        self._most, self._held = most, 0
        self._values: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """The value, which counts as used now; or None."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: Key, value: Value, size: int = 1) -> None:
        """Keep a value; one that is larger than all that may be kept is not."""
        _, before = self._values.pop(key, (None, 0))
        self._held -= before
        if size > self._most:
            return
        self._values[key] = value, size
        self._held += size
        while self._held > self._most:
            _, (_, freed) = self._values.popitem(last=False)
            self._held -= freed

    def __len__(self) -> int:
        return len(self._values)
