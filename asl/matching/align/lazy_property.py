"""A property that is computed once for each object, by any number of threads at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

Value = TypeVar("Value")


class LazyProperty(Generic[Value]):
    """Property whose value is kept in the object.

    ``functools.cached_property`` holds one lock for all objects of a class before Python 3.12:
    threads that prepare different images would wait for each other. Here threads that ask one
    object at the same moment may both compute the value.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        """Wrap a method without arguments, as a decorator."""
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type[object], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type[object]) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type[object]) -> Value: ...

    def __get__(self, instance: object | None, owner: type[object]) -> Self | Value:
        if instance is None:
            return self
        value = self._compute(instance)
        instance.__dict__[self._name] = value  # from now on it hides this property
        return value
