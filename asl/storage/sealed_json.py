"""Checksum of a JSON object, kept as one of its keys: replaced in one step with the content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "sha256"


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
    expected = value.pop(SEAL, None)
    if expected is not None and expected != json_checksum(value):
        raise ValueError("its checksum differs")
    return value
