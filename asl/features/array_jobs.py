"""One extraction on many machines: every task embeds its own run of shards, and the parts become one store.

Shards of a part are the very shards that a single machine would have written, so the joined store
is byte-identical to its store, whatever the number of parts was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from asl.features.feature_store import FeatureStore
from asl.features.writer_lock import one_writer
from asl.storage import ReadError, write_bytes
from asl.types import AslError, UsageError


def parse_part(text: str) -> tuple[int, int]:
    """``"3/8"`` -> (3, 8), the third of eight parts.

    Raises:
        UsageError: it is no such thing.
    """
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise UsageError(f"part: expected I/N with 1 <= I <= N, such as 3/8, got {text!r}")
    return int(number), int(count)


def part_path(output: str | Path, part: int, of: int) -> Path:
    """Where a part of a store lies, beside the store."""
    return Path(f"{output}.part-{part:05d}-of-{of:05d}")


def part_rows(count: int, *, shard_size: int, part: int, of: int) -> range:
    """The images of a part: whole shards, as even as they come; empty where there are fewer shards than parts."""
    shards = -(-count // shard_size)
    first, last = shards * (part - 1) // of, shards * part // of
    return range(min(first * shard_size, count), min(last * shard_size, count))


def join_parts(output: str | Path, parts: Sequence[FeatureStore]) -> FeatureStore:
    """One store of the shards of all parts, in order; killed and run again, it goes on.

    Raises:
        AslError: no parts, parts of different models, a damaged shard, or an output that holds
            something else.
    """
    if not parts:
        raise AslError("merge: there are no parts")
    with one_writer([Path(output)]):
        return _joined(output, parts)


def _joined(output: str | Path, parts: Sequence[FeatureStore]) -> FeatureStore:
    first = parts[0].manifest
    store = FeatureStore.create(
        output, model=first["model"], dim=first["dim"], preprocessing=first["preprocessing"]
    )
    shards = [(part, shard) for part in parts for shard in part.manifest["shards"]]
    for part in parts:
        for name in ("model", "dim", "preprocessing"):
            if part.manifest[name] != first[name]:
                raise AslError(
                    f"merge: {part.path} was made with another {name} than {parts[0].path}"
                )
    _refuse_twice(parts)
    for place, (there, (_, here)) in enumerate(zip(store.manifest["shards"], shards, strict=False)):
        if there["sha256"] != here["sha256"]:
            raise AslError(
                f"merge: shard {place} of {store.path} is not that of the parts; choose another output"
            )
    if len(store.manifest["shards"]) > len(shards):
        raise AslError(
            f"merge: {store.path} holds more shards than the parts; choose another output"
        )
    for part, shard in shards[len(store.manifest["shards"]) :]:
        _copy(store, part, shard["name"], shard)
    return store


def _refuse_twice(parts: Sequence[FeatureStore]) -> None:
    """Parts that were made while images were added overlap."""
    seen: dict[str, FeatureStore] = {}
    for part in parts:
        for name in part.stamps():
            if name in seen:
                raise AslError(
                    f"merge: {name!r} is in {seen[name].path} and in {part.path}; the images changed meanwhile: "
                    "delete them and extract all parts again"
                )
            seen[name] = part


def _copy(store: FeatureStore, part: FeatureStore, name: str, entry: dict[str, object]) -> None:
    data = {}
    for suffix in (".npy", ".json"):
        try:
            data[suffix] = (part.path / f"{name}{suffix}").read_bytes()
        except OSError as error:
            raise ReadError(
                f"{part.path}/{name}{suffix}: cannot be read ({error.strerror}); "
                "extract this part again"
            ) from error
    if hashlib.sha256(data[".npy"] + data[".json"]).hexdigest() != entry["sha256"]:
        raise AslError(
            f"merge: {part.path}/{name} is not what was written; extract this part again"
        )
    target = f"shard-{len(store.manifest['shards']):05d}"
    for suffix, content in data.items():
        write_bytes(store.path / f"{target}{suffix}", content)
    store.append_entry({**entry, "name": target})
