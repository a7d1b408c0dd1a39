"""Compare a value of a configuration with the type hint of the argument that it is for."""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    tuple: "a list",
    dict: "a mapping",
    type(None): "null",
}


def expected_type(call: Callable[..., Any], name: str, value: Any) -> str | None:
    """Describe the values that an argument takes, where ``value`` is none of them.

    Args:
        call: class or function.
        name: of the argument.
        value: plain value of a configuration.

    Returns:
        Words such as "a number or null"; None where the value fits, where the argument has no hint,
        or where its hint is of another kind than plain values.

    >>> def scale(factor: float, times: int | None = None) -> None: ...
    >>> expected_type(scale, "factor", "x"), expected_type(scale, "times", None)
    ('a number', None)
    """
    if isinstance(value, Mapping) and "_target_" in value:
        return None  # what it builds is checked by its slot
    try:
        initializer: Any = call.__init__ if isinstance(call, type) else call  # type: ignore[misc]
        hints = get_type_hints(initializer)
    except (NameError, TypeError):  # a hint that is imported for type checkers only
        return None
    if name not in hints:
        return None
    members = list(_members(hints[name]))
    if any(_fits(value, member) for member in members):
        return None
    return " or ".join(dict.fromkeys(_words(member) for member in members))


def _members(hint: Any) -> Iterable[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        for member in get_args(hint):
            yield from _members(member)
    else:
        yield hint


def _fits(value: Any, hint: Any) -> bool:
    """Return True where a plain value is of a hint, or the hint is none that can be checked."""
    origin = get_origin(hint) or hint
    if origin in (Any, object):
        return True
    if origin is Literal:
        return value in get_args(hint)
    if origin is bool:
        return isinstance(value, bool)
    if origin is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if origin in (str, type(None)):
        return isinstance(value, origin)
    if not isinstance(origin, type):
        return True
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping)
    if _is_list(origin):
        return isinstance(value, list | tuple)
    return not isinstance(value, str | int | float | list | tuple | Mapping | None)


def _is_list(origin: Any) -> bool:
    """Return True for collections of the language; tensors have their methods, but are none."""
    ours = getattr(origin, "__module__", "") in ("builtins", "collections.abc")
    return ours and isinstance(origin, type) and issubclass(origin, Collection)


def _words(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    origin = get_origin(hint) or hint
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a mapping"
    if origin not in WORDS and _is_list(origin):
        return "a list"
    return WORDS.get(origin, getattr(origin, "__name__", "another value"))
