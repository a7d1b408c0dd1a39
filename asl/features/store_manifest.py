"""Check the JSON files of a feature store when they are read, not when they are used."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from asl.storage import ReadError

REMEDY = "delete the store and extract again"
_SHARD_NAME = re.compile(r"shard-\d{5,}")  # nothing outside the store's folder


def check_manifest(manifest: Mapping[str, Any], path: Path) -> None:
    """Check the types of ``manifest.json``, and that its shards are files of the store.

    Raises:
        ReadError: a key is missing, or its value is of another type.
    """
    kinds: dict[str, type] = {"model": str, "dim": int, "preprocessing": dict, "shards": list}
    for key, kind in kinds.items():
        if not isinstance(manifest.get(key), kind):
            raise _damaged(path, f"{key} is {manifest.get(key)!r:.60}, expected {kind.__name__}")
    if manifest["dim"] < 1:
        raise _damaged(path, f"dim is {manifest['dim']}, expected 1 or more")
    for place, shard in enumerate(manifest["shards"]):
        if not isinstance(shard, dict) or not _is_shard(shard):
            raise _damaged(path, f"shard {place} is {shard!r:.60}")


def check_listing(listing: Mapping[str, Any], shard: Mapping[str, Any], path: Path) -> None:
    """Check the ids, failures and stamps of a shard against its manifest entry.

    Raises:
        ReadError: they are malformed, or of other numbers.
    """
    images, failures = shard["images"], shard["failures"]
    if not _is_list(listing.get("ids"), _is_text, images):
        raise _damaged(path, f"expected {images} ids")
    if not _is_list(listing.get("failures"), _is_failure, failures):
        raise _damaged(path, f"expected {failures} failures (id, reason)")
    if "stamps" in listing and not _is_list(listing["stamps"], _is_stamp, images + failures):
        raise _damaged(path, f"expected {images + failures} stamps")
    forgotten = listing.get("forgotten", [])
    if not isinstance(forgotten, list) or not _is_list(forgotten, _is_text, len(forgotten)):
        raise _damaged(path, "expected a list of forgotten ids")


def _is_shard(shard: Mapping[str, Any]) -> bool:
    counts = [shard.get("images"), shard.get("failures")]
    name = shard.get("name")
    return (
        isinstance(name, str)
        and _SHARD_NAME.fullmatch(name) is not None
        and isinstance(shard.get("sha256"), str)
        and isinstance(shard.get("listing", ""), str)
        and all(type(count) is int and count >= 0 for count in counts)
    )


def _is_list(value: object, fits: Callable[[object], bool], length: int) -> bool:
    return isinstance(value, list) and len(value) == length and all(map(fits, value))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_stamp(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_failure(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_text, value))


def _damaged(path: Path, reason: str) -> ReadError:
    return ReadError(f"{path}: damaged ({reason}); {REMEDY}")
