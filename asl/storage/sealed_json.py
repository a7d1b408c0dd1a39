"""Checksum of a JSON object, kept as one of its keys: replaced in one step with the content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any

SEAL = "sha256"
_DIGEST_LETTERS = 64
_ALIKE = 0.6  # likeness of two words from which on one is the other with some letters damaged


def json_checksum(value: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a JSON object without its own checksum; layout and order do not count.

    >>> json_checksum({"a": 1, "b": 2}) == json_checksum({"b": 2, "a": 1, "sha256": "x"})
    True
    """
    content = {key: part for key, part in value.items() if key != SEAL}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its checksum as the last key."""
    content = {key: part for key, part in value.items() if key != SEAL}
    return {**content, SEAL: json_checksum(content)}


def without_seal(value: dict[str, Any]) -> dict[str, Any]:
    """Compare a JSON object with its checksum and remove it; earlier versions wrote none.

    Raises:
        ValueError: the content has changed since it was written.
    """
    if SEAL in value:
        if value.pop(SEAL) != json_checksum(value):
            raise ValueError("its checksum differs")
    elif any(_was_seal(key, part) for key, part in value.items()):
        raise ValueError("its checksum lost its name")
    return value


def _was_seal(key: str, value: object) -> bool:
    """Recognise a checksum whose key was damaged; else its file would count as an old one."""
    is_digest = isinstance(value, str) and len(value) == _DIGEST_LETTERS
    return is_digest and SequenceMatcher(None, key, SEAL).ratio() > _ALIKE
