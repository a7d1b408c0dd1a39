"""Words for a field of a request that its declaration refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_SHOWN = 40  # characters of a value
_WHOLE = "must be a whole number, got {got}; give one such as 10"
_NUMBER = "must be a number, got {got}; write it with a point, such as 0.5"
_TEXT = "must be text, got {got}; put it in quotes"
_YES_OR_NO = "must be true or false, got {got}; give one of these"
# Kind of refusal -> what is wrong, what arrived, what to do; named values are its limits.
_WORDS = {
    "greater_than_equal": "must be {ge:g} or more, got {got}; give a larger number",
    "less_than_equal": "must be {le:g} or less, got {got}; give a smaller number",
    "string_too_long": "must be {max_length} characters or fewer, got {size}; shorten it",
    "too_long": "must have {max_length} entries or fewer, got {size}; send it in parts",
    "string_pattern_mismatch": "must have the form {pattern}, got {got}; give one that was listed",
    "literal_error": "must be {expected}, got {got}; give one of these",
    "missing": "is missing; send it",
    "extra_forbidden": "is no field of this request, got {got}; leave it out",
    "finite_number": "must be a finite number, got {got}; give one such as 0.5",
    "list_type": "must be a list, got {got}; put it in brackets",
    "model_attributes_type": "must be a JSON object, got {got}; send one",
    "json_invalid": "must be JSON, but is not ({error}); send a JSON object",
    **dict.fromkeys(("int_parsing", "int_parsing_size", "int_from_float", "int_type"), _WHOLE),
    **dict.fromkeys(("float_parsing", "float_type"), _NUMBER),
    **dict.fromkeys(("bool_parsing", "bool_type"), _YES_OR_NO),
    "string_type": _TEXT,
}
# Of the references; its pattern is no explanation.
_ID = "must be the 32 digits 0-9, a-f of a reference, got {got}; GET /v1/references lists them"


def field_error(error: Mapping[str, Any]) -> str:
    """Say which field is wrong, what arrived, and what to do.

    Args:
        error: first entry of a validation error: ``type``, ``loc``, ``msg``, ``input``, ``ctx``.

    >>> wrong = {"type": "greater_than_equal", "loc": ("query", "k"), "input": "0"}
    >>> field_error({**wrong, "msg": "...", "ctx": {"ge": 1}})
    'k: must be 1 or more, got 0; give a larger number'
    """
    kind, where = error["type"], _place(error)
    value = error.get("input")
    words = _WORDS.get(kind, "cannot be used, got {got}; give another value")
    if kind == "string_pattern_mismatch" and where == "id":
        words = _ID
    size = len(value) if isinstance(value, str | Sequence) else 0
    return f"{where}: {words.format(**error.get('ctx', {}), got=_shown(value), size=size)}"


def _place(error: Mapping[str, Any]) -> str:
    """Name the field; ``body`` for the body as a whole, whose places are no names."""
    names = [] if error["type"] == "json_invalid" else error["loc"][1:]
    return ".".join(map(str, names)) or str(error["loc"][0])


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return (text[:_SHOWN] + "…" if len(text) > _SHOWN else text) or "nothing"
