"""Extraction on several machines: each task embeds its own range of shards into a part of a store.

Parts hold the same shards that a single machine would write, so the merged store is byte-identical
to its store for any number of parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from asl.features.feature_store import FeatureStore
from asl.features.writer_lock import one_writer
from asl.model_names import model_text
from asl.storage import ReadError, write_bytes
from asl.types import AslError, UsageError


def parse_part(text: str) -> tuple[int, int]:
    """Parse ``"3/8"`` as (3, 8), the third of eight parts.

    Raises:
        UsageError: not of this form.

    >>> parse_part("3/8")
    (3, 8)
    """
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise UsageError(f"part: expected I/N with 1 <= I <= N, such as 3/8, got {text!r}")
    return int(number), int(count)


def part_path(output: str | Path, part: int, of: int) -> Path:
    """Return the folder of a part, beside the store."""
    return Path(f"{output}.part-{part:05d}-of-{of:05d}")


def part_rows(count: int, *, shard_size: int, part: int, of: int) -> range:
    """Return the images of a part: whole shards, distributed evenly.

    Args:
        count: number of images.
        shard_size: images per shard.
        part: number of the part, from 1.
        of: number of parts. Where there are fewer shards, some parts are empty.

    >>> [list(part_rows(5, shard_size=2, part=part, of=2)) for part in (1, 2)]
    [[0, 1], [2, 3, 4]]
    """
    shards = -(-count // shard_size)
    first = shards * (part - 1) // of
    last = shards * part // of
    return range(min(first * shard_size, count), min(last * shard_size, count))


def join_parts(output: str | Path, parts: Sequence[FeatureStore]) -> FeatureStore:
    """Merge the shards of all parts into one store, in order; a killed merge can be resumed.

    Raises:
        AslError: no parts, parts of different models, a damaged shard, or an output that holds
            something else.
    """
    if not parts:
        raise AslError("merge: there are no parts; extract them with part=I/N first")
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
                said = (
                    f" ({model_text(part.manifest[name])}, {model_text(first[name])})"
                    if name == "model"
                    else ""
                )
                raise AslError(
                    f"merge: {part.path} was made with another {name} than {parts[0].path}{said}; "
                    "extract all parts with the same settings"
                )
    _refuse_overlap(parts)
    merged = store.manifest["shards"]
    for place, (existing, (_, expected)) in enumerate(zip(merged, shards, strict=False)):
        if existing["sha256"] != expected["sha256"]:
            raise AslError(
                f"merge: shard {place} of {store.path} is not that of the parts; choose another "
                "output"
            )
    if len(store.manifest["shards"]) > len(shards):
        raise AslError(
            f"merge: {store.path} holds more shards than the parts; choose another output"
        )
    for part, shard in shards[len(store.manifest["shards"]) :]:
        _copy(store, part, shard["name"], shard)
    return store


def _refuse_overlap(parts: Sequence[FeatureStore]) -> None:
    """Refuse parts that share an image, because images were added between their extractions."""
    seen: dict[str, FeatureStore] = {}
    for part in parts:
        for name in part.stamps():
            if name in seen:
                raise AslError(
                    f"merge: {name!r} is in {seen[name].path} and in {part.path}, as the images "
                    "changed meanwhile; delete them and extract all parts again"
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
