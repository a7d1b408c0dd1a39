"""A lazy property: computed once an object, and by two threads at a time for two objects."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from asl.matching.align.lazy_property import LazyProperty


@dataclass(frozen=True)
class Thing:
    asked: list[int] = field(default_factory=list)

    @LazyProperty
    def answer(self) -> int:
        """The answer."""
        self.asked.append(1)
        return 42


def test_the_value_is_computed_once_an_object() -> None:
    one, other = Thing(), Thing()
    assert (one.answer, one.answer, other.answer) == (42, 42, 42)
    assert (one.asked, other.asked) == ([1], [1])


def test_the_class_has_the_property_and_its_words() -> None:
    assert isinstance(Thing.answer, LazyProperty)
    assert Thing.answer.__doc__ == "The answer."


def test_objects_do_not_wait_for_each_other() -> None:
    meeting = threading.Barrier(2, timeout=20)

    class Slow:
        @LazyProperty
        def value(self) -> int:
            return meeting.wait()  # returns only when both are being computed

    threads = [threading.Thread(target=lambda: values.append(Slow().value)) for _ in range(2)]
    values: list[int] = []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(values) == [0, 1]
