"""Read a schema: its groups of keys, their types, defaults and explanations."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from asl.errors import UsageError

_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)  # of a cleaned docstring


@dataclass(frozen=True)
class Key:
    """One key of a schema.

    Attributes:
        name: as written before ``=``.
        hint: resolved type, such as ``int | None``.
        default: its default; :data:`dataclasses.MISSING` where the key is required.
        explanation: one or two sentences.
    """

    name: str
    hint: Any
    default: Any
    explanation: str

    @property
    def members(self) -> tuple[Any, ...]:
        """The types of a union, or the one type."""
        union = get_origin(self.hint) in (Union, types.UnionType)
        return get_args(self.hint) if union else (self.hint,)

    @property
    def optional(self) -> bool:
        """True where null is a value."""
        return type(None) in self.members

    @property
    def is_list(self) -> bool:
        """True where the key takes several values."""
        return any(get_origin(member) is list for member in self.members)

    @property
    def is_flag(self) -> bool:
        """True where the key is true or false."""
        return self.hint is bool

    @property
    def is_text(self) -> bool:
        """True where the key takes text: names and paths."""
        return str in self.members

    @property
    def choices(self) -> tuple[str, ...]:
        """Every value of the key, where there are finitely many."""
        if self.is_flag:
            return ("true", "false")
        literals = (m for m in self.members if get_origin(m) is Literal)
        named = tuple(str(value) for literal in literals for value in get_args(literal))
        return (*named, "null") if named and self.optional else named


def groups_of(schema: type[Any]) -> Iterator[tuple[str, Sequence[Key]]]:
    """Yield the title and the keys of each base class of a schema that declares keys."""
    hints = get_type_hints(schema)
    by_name = {field.name: field for field in fields(schema)}
    for owner in schema.__mro__:
        own = [name for name in vars(owner).get("__annotations__", {}) if name in by_name]
        if not own:
            continue
        text = inspect.getdoc(owner) or ""
        explained = {name: " ".join(line.split()) for name, line in _ATTRIBUTE.findall(text)}
        keys = []
        for name in own:
            field = by_name[name]
            default = field.default
            if field.default_factory is not MISSING:
                default = field.default_factory()
            keys.append(Key(name, hints[name], default, explained.get(name, "")))
        yield text.splitlines()[0].strip(" ."), keys


def keys_of(schema: type[Any]) -> dict[str, Key]:
    """Return every key of a schema by its name."""
    return {key.name: key for _, keys in groups_of(schema) for key in keys}


class CheckedChoices:
    """Base of a schema: refuses a value that is none of a key's choices, also from Python.

    Raises:
        UsageError: naming key, choices and value.
    """

    def __post_init__(self) -> None:
        for key in keys_of(type(self)).values():
            value = getattr(self, key.name)
            shown = "null" if value is None else str(value)
            if key.choices and not key.is_flag and shown not in key.choices:
                expected = ", ".join(key.choices)
                raise UsageError(f"{key.name}: expected one of {expected}, got {value!r}")
