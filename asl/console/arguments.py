"""Read the command line of a verb into its schema, by cyclopts.

Cyclopts was chosen over tyro and jsonargparse: it converts and validates by plain type hints and
raises its errors with the argument and the value in them; tyro prints boxes and exits, jsonargparse
has a configuration of its own. It does not know ``key=value``, which is rewritten to
``--key=value`` here. Its help and completion show ``--key`` alone, so that
:mod:`asl.console.verb_help` and :mod:`asl.console.completion` are ours: one style for all verbs,
``train`` with Hydra included.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any, get_args

import cyclopts

from asl.console.key_names import unknown_key
from asl.console.schema_groups import Key, keys_of
from asl.console.typed_text import as_typed, split_list
from asl.console.value_limits import check_text
from asl.console.value_types import WORDS
from asl.console.verbs import Verb
from asl.errors import UsageError

_ASSIGNMENT = re.compile(r"(--)?([A-Za-z_][\w-]*)=(.*)", re.DOTALL)


def read_arguments(verb: Verb, arguments: Sequence[str]) -> Any:
    """Return the schema instance of a command line.

    Args:
        verb: the verb.
        arguments: words after it: ``key=value``, ``--key=value``, ``--key value``; ``null`` for
            None; lists as ``[a,b]``, ``a,b`` or, after ``--key``, as several words. Text is taken
            as typed, but for a leading ``~`` and a pair of quotes around it.

    Raises:
        UsageError: an unknown or renamed key, a missing one, or a value of the wrong type.
    """
    keys = keys_of(verb.schema)
    words, settled = _plain_words(_assignments(verb, keys, arguments))
    try:
        _, bound, _ = _app(verb).parse_args(words, print_error=False, exit_on_error=False)
    except cyclopts.CycloptsError as error:
        raise _explained(error, verb, keys) from error
    return verb.schema(**(dict(bound.arguments) | settled))


def _app(verb: Verb) -> cyclopts.App:
    """Build the parser of a verb, one keyword-only parameter a key."""

    def command(**values: Any) -> dict[str, Any]:
        return values

    parameters = [
        _parameter(key, positional=name in verb.positional)
        for name, key in keys_of(verb.schema).items()
    ]
    parameters.sort(key=lambda parameter: parameter.kind)
    signature = inspect.Signature(parameters)
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {name: p.annotation for name, p in signature.parameters.items()}
    app = cyclopts.App(
        name=f"asl {verb.name}",
        help="",
        usage="",
        help_flags=(),
        version_flags=(),
        default_parameter=cyclopts.Parameter(negative=()),
    )
    app.default(command)
    return app


def _parameter(key: Key, *, positional: bool) -> inspect.Parameter:
    named = (
        inspect.Parameter.POSITIONAL_OR_KEYWORD if positional else inspect.Parameter.KEYWORD_ONLY
    )
    default = inspect.Parameter.empty if key.default is MISSING else key.default
    return inspect.Parameter(key.name, named, default=default, annotation=key.hint)


def _assignments(
    verb: Verb, keys: dict[str, Key], arguments: Sequence[str]
) -> Iterator[tuple[Key | None, list[str]]]:
    """Yield every key with its texts, in order; None is the key of a positional word."""
    words = list(arguments)
    while words:
        word = words.pop(0)
        assigned = _ASSIGNMENT.fullmatch(word)
        option = word.startswith("--") and len(word) > 2
        if not assigned and not option:
            if not verb.positional:
                raise UsageError(f"{word}: is no key of asl {verb.name}; keys are set as key=value")
            yield None, [word]
            continue
        typed = f"{assigned[1] or ''}{assigned[2]}" if assigned else word
        name = typed.removeprefix("--").replace("-", "_")
        if name not in keys:
            raise unknown_key(verb.name, name, keys, typed=typed)
        key = keys[name]
        yield key, [assigned[3]] if assigned else _texts_after(key, words, keys)


def _texts_after(key: Key, words: list[str], keys: dict[str, Key]) -> list[str]:
    """Take the words that are the value of ``--key``."""
    if key.is_flag:
        return [words.pop(0)] if words and words[0].lower() in key.choices else ["true"]
    texts: list[str] = []
    while words and not words[0].startswith("--") and (key.is_list or not texts):
        assigned = _ASSIGNMENT.fullmatch(words[0])
        if key.is_list and assigned and assigned[2].replace("-", "_") in keys:
            break
        texts.append(words.pop(0))
    if not texts:
        raise UsageError(f"{_option(key)}: needs a value; --help explains")
    return texts


def _plain_words(
    assignments: Iterable[tuple[Key | None, list[str]]],
) -> tuple[list[str], dict[str, Any]]:
    """Return words as cyclopts reads them, and the values that need no reading: null and [].

    A key that is given twice has its last value; a list has all of them.
    """
    positional: list[str] = []
    given: dict[str, list[str]] = {}
    settled: dict[str, Any] = {}
    for key, texts in assignments:
        if key is None:
            positional += texts
            continue
        null = texts == ["null"] and key.optional
        items = split_list(texts[0]) if _is_list_text(key, texts) else texts
        for item in [] if null else items:
            check_text(key.name, item, _leaves(key))
        before = given.pop(key.name, []) if key.is_list else []
        settled.pop(key.name, None)
        if null or not (before or items):
            settled[key.name] = None if null else []
        else:
            given[key.name] = [*before, *items]
    words = [
        f"--{name.replace('_', '-')}={as_typed(text)}"
        for name, texts in given.items()
        for text in texts
    ]
    return [*positional, *words], settled


def _is_list_text(key: Key, texts: list[str]) -> bool:
    """Check that one text is a whole list; a comma may be part of a path without brackets."""
    if not key.is_list or len(texts) != 1:
        return False
    return Path not in _leaves(key) or texts[0].startswith("[")


def _option(key: Key) -> str:
    return f"--{key.name.replace('_', '-')}"


def _explained(error: cyclopts.CycloptsError, verb: Verb, keys: dict[str, Key]) -> UsageError:
    """Return one line that names key, rule and value."""
    argument = getattr(error, "argument", None)
    if isinstance(error, cyclopts.UnusedCliTokensError):
        word = (error.unused_tokens or [""])[0]
        return UsageError(f"{word}: one word too many; quote a name that has spaces")
    key = keys.get(argument.field_info.name) if argument else None
    if key is None:
        return UsageError(f"{' '.join(str(error).split())} --help explains")
    if isinstance(error, cyclopts.MissingArgumentError):
        return _missing(verb, key)
    value = error.token.value if isinstance(error, cyclopts.CoercionError) and error.token else ""
    if key.choices:
        return UsageError(f"{key.name}: expected one of {', '.join(key.choices)}, got {value!r}")
    expected = " or ".join(WORDS[kind] for kind in (int, float, bool) if kind in _leaves(key))
    return UsageError(f"{key.name}: expected {expected or 'another value'}, got {value!r}")


def _missing(verb: Verb, key: Key) -> UsageError:
    """Return one line with a whole command, in the style of the verb's help."""
    positional = key.name in verb.positional
    name = f"--{key.name.replace('_', '-')}" if verb.options and not positional else key.name
    shown = key.name.upper() if positional else name
    example = verb.example("" if positional else name) or f"{name}=..."
    return UsageError(f"{shown}: needed, e.g. `{example}`; --help explains")


def _leaves(key: Key) -> set[Any]:
    return {leaf for member in key.members for leaf in (member, *get_args(member))}
