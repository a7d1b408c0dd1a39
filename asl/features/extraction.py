"""Embed every image of a catalog once, in order; killed at any moment it loses at most the shard in progress.

Images that have changed since they were embedded are embedded again; see
:mod:`asl.features.fingerprints`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asl.data.catalog import Catalog
from asl.features.decoding import Batch, Region, decoded_batches
from asl.features.feature_store import FeatureStore
from asl.features.fingerprints import Outdated
from asl.features.inference import Runner
from asl.features.writer_lock import one_writer
from asl.models import Embedder, Preprocessing, model_hash
from asl.types import F32, AslError

Progress = Callable[[int, int], None]
_ENOUGH = 20  # images from which on a failure rate says something
_NO_DIRECTION = "its feature is not finite, or 0"


def extract(
    catalog: Catalog,
    embedder: Embedder,
    *,
    output: str | Path,
    region: Region | None = None,
    **options: Any,
) -> FeatureStore:
    """Embed the images that are not in the store yet, or no longer what they were.

    Args:
        catalog: images; each is embedded once, in this order.
        embedder: the model; its own preprocessing is used.
        output: folder of the store; an existing one of the same model is continued.
        region: only this part is embedded.
        options: of :func:`extract_together`.

    Returns:
        The store; images = embedded + failed.

    Raises:
        AslError: too many unreadable images, or a store of another model.
    """
    return extract_together(catalog, embedder, {Path(output): region}, **options)[0]


def extract_together(
    catalog: Catalog,
    embedder: Embedder,
    outputs: Mapping[Path, Region | None],
    *,
    batch_size: int = 64,
    workers: int | None = None,
    shard_size: int = 4096,
    max_failure_rate: float = 0.1,
    device: str = "auto",
    fast_decode: bool = False,
    progress: Progress | None = None,
) -> list[FeatureStore]:
    """Embed several parts of the images, each into a store of its own; an image is read and decoded once for all.

    Args:
        catalog: images; each is embedded once, in this order.
        embedder: the model; its own preprocessing is used.
        outputs: folder of a store -> which part of the images goes there; None is the whole.
        batch_size: pictures per forward pass.
        workers: processes that decode; 0 decodes in this one. None: none beside a model on the CPU,
            whose cores they would only take away, one a core (8 at most) with a GPU.
        shard_size: images per shard, the most that a kill can lose.
        max_failure_rate: share of unreadable images above which the run stops.
        device: ``auto``, ``cpu``, ``cuda`` ...
        fast_decode: large JPEGs are decoded at a fraction of their size, twice what the network
            needs at least; the store says so, and only stores that agree in it belong together.
        progress: called with (images done, images to do).

    Raises:
        AslError: too many unreadable images, or a store of another model.
    """
    if not 0 <= max_failure_rate <= 1 or batch_size < 1 or shard_size < 1:
        raise AslError(
            "extract: batch_size and shard_size must be 1 or more, max_failure_rate in 0..1"
        )
    with one_writer(outputs):
        every = [_store(path, embedder, region, fast_decode) for path, region in outputs.items()]
        outdated, sides = Outdated(catalog), zip(every, outputs.values(), strict=True)
        jobs = [
            _Job(store, region, wanted) for store, region in sides if (wanted := outdated.of(store))
        ]
        if jobs:
            runner = Runner(embedder, device, batch_size)
            _fill(
                jobs,
                catalog,
                embedder.preprocessing,
                runner,
                batch_size=batch_size,
                workers=runner.decoders() if workers is None else workers,
                shard_size=shard_size,
                max_failure_rate=max_failure_rate,
                fast=fast_decode,
                progress=progress,
            )
    return every


class _Job(NamedTuple):
    """A store, which part of the images goes there, and the ids that it lacks (True: changed since they got there)."""

    store: FeatureStore
    region: Region | None
    wanted: Mapping[str, bool]


def _fill(
    jobs: Sequence[_Job],
    catalog: Catalog,
    plan: Preprocessing,
    runner: Runner,
    *,
    batch_size: int,
    workers: int,
    shard_size: int,
    max_failure_rate: float,
    fast: bool,
    progress: Progress | None,
) -> None:
    """Embed what any store lacks, a shard at a time."""
    anywhere: set[str] = set().union(*(job.wanted for job in jobs))
    rows = np.array(
        [row for row, name in enumerate(catalog.ids.tolist()) if name in anywhere], dtype=np.int64
    )
    group = max(1, batch_size // len(jobs))
    regions = [job.region for job in jobs]
    batches = decoded_batches(
        catalog,
        plan,
        regions,
        rows,
        batch_size=group,
        workers=workers,
        shard_size=shard_size,
        fast=fast,
    )
    done = failed = 0
    for start in range(0, len(rows), shard_size):
        names, features, failures = [], [], []
        stamps: dict[str, str] = {}
        part = rows[start : start + shard_size]
        for _ in range(0, len(part), group):
            chunk, embedded, broken, marks = _embedded(runner, next(batches), len(jobs))
            features.append(embedded)
            names += [str(catalog.ids[row]) for row in chunk]
            failures += [(str(catalog.ids[row]), reason) for row, reason in broken]
            stamps |= {str(catalog.ids[row]): mark for row, mark in marks.items()}
            done += len(chunk) + len(broken)
            if progress:
                progress(done, len(rows))
        failed += len(failures)
        _check_rate(
            failed, len(catalog) - len(rows) + done, max_failure_rate, failures
        )  # one new one may be broken
        joined = np.concatenate(features)
        for place, job in enumerate(jobs):
            _add(job.store, job.wanted, names, joined[:, place], failures, stamps)
    for job in jobs:
        _check_complete(job.store, catalog)


def _store(
    path: Path, embedder: Embedder, region: Region | None, fast_decode: bool
) -> FeatureStore:
    preprocessing = asdict(embedder.preprocessing) | ({"fast_decode": True} if fast_decode else {})
    if region is not None:
        preprocessing["region"] = list(region if region.pixels else region[:4])
    return FeatureStore.create(
        path, model=model_hash(embedder), dim=embedder.dim, preprocessing=preprocessing
    )


def _check_complete(store: FeatureStore, catalog: Catalog) -> None:
    missing = set(catalog.ids.tolist()) - store.stamps().keys()
    if missing:
        raise AslError(
            f"extract: {len(missing)} image(s) are neither embedded nor failed, e.g. {min(missing)!r}"
        )


def _add(
    store: FeatureStore,
    wanted: Mapping[str, bool],
    names: list[str],
    features: F32,
    failures: list[tuple[str, str]],
    stamps: Mapping[str, str],
) -> None:
    """Add what the store does not have: one of several may have been ahead when a run was killed."""
    new = [place for place, name in enumerate(names) if name in wanted]
    broken = [(name, reason) for name, reason in failures if name in wanted]
    added = [*(names[place] for place in new), *(name for name, _ in broken)]
    if added:
        marks, replaces = [stamps[name] for name in added], any(wanted[name] for name in added)
        store.add(
            added[: len(new)],
            np.ascontiguousarray(features[new]),
            broken,
            stamps=marks,
            replaces=replaces,
        )


def _embedded(
    runner: Runner, batch: Batch, parts: int
) -> tuple[list[int], F32, list[tuple[int, str]], dict[int, str]]:
    """A batch with features ``[B, parts, D]``; rows of which one is not finite or has no direction are broken ones."""
    rows, images, broken, marks = batch
    # Lists of a row's parts: [rows, parts] pictures in one forward pass.
    flat = runner.embed([picture for pictures in images for picture in pictures])
    features = flat.reshape(len(rows), parts, flat.shape[1])
    lengths = np.linalg.norm(features, axis=2)
    sound = (np.isfinite(lengths) & (lengths > 0)).all(axis=1)
    unsound = [
        (row, _NO_DIRECTION) for row, is_sound in zip(rows, sound, strict=True) if not is_sound
    ]
    kept = [row for row, is_sound in zip(rows, sound, strict=True) if is_sound]
    return kept, features[sound], broken + unsound, marks


def _check_rate(failed: int, done: int, limit: float, failures: list[tuple[str, str]]) -> None:
    if (failed == done and limit < 1) or (failed > limit * done and (done >= _ENOUGH or not limit)):
        first = f", e.g. {failures[0][0]}: {failures[0][1]}" if failures else ""
        raise AslError(
            f"extract: {failed} of {done} images cannot be read{first}; the limit is max_failure_rate={limit:g}"
        )
