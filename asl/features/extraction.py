"""Embed every image of a catalog once, in order.

A run that is killed at any moment loses at most the shard in progress. Images that have changed
since they were embedded are embedded again; see :mod:`asl.features.fingerprints`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from asl.counts import counted
from asl.data.catalog import Catalog
from asl.features.cropping import Region
from asl.features.decoded_batches import Batch, decoded_batches
from asl.features.embed_options import EmbedOptions
from asl.features.feature_store import Failure, FeatureStore
from asl.features.fingerprints import Outdated
from asl.features.regions import region_path
from asl.features.runner import Runner, open_runner
from asl.features.writer_lock import one_writer
from asl.models import Preprocessing, SavedModel
from asl.types import F32, AslError, Progress

if TYPE_CHECKING:
    from asl.models import Embedder

# Fewer images may have as many failures as this number: one broken file of five is no wrong folder.
LEAST_FOR_RATE = 20
_NO_DIRECTION = "its feature is not finite, or 0"


def extract(
    catalog: Catalog,
    model: SavedModel | Embedder,
    *,
    output: str | Path,
    region: Region | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> FeatureStore:
    """Embed the images that are not in the store yet, or have changed.

    Args:
        catalog: images; each is embedded once, in this order.
        model: saved, or a live network; with its preprocessing.
        output: folder of the store; an existing one of the same model is continued.
        region: embed only this region of each image.
        progress: called with (images done, images to do).
        options: fields of :class:`EmbedOptions`.

    Returns:
        The store; images = embedded + failed.

    Raises:
        AslError: too many unreadable images, or a store of another model.
    """
    settings = EmbedOptions(**options)
    return extract_together(catalog, model, {Path(output): region}, settings, progress)[0]


def extract_together(
    catalog: Catalog,
    model: SavedModel | Embedder,
    outputs: Mapping[Path, Region | None],
    options: EmbedOptions,
    progress: Progress | None = None,
) -> list[FeatureStore]:
    """Embed several regions of the images, each into its own store; decode each image once.

    Args:
        catalog: images; each is embedded once, in this order.
        model: saved, or a live network; with its preprocessing.
        outputs: folder of a store -> region of the images; None is the whole.
        options: settings.
        progress: called with (images done, images to do).

    Returns:
        One store per output, in their order.

    Raises:
        AslError: too many unreadable images, or a store of another model.
    """
    runner = open_runner(model, options.device)
    with one_writer(outputs):
        stores = [
            _store(path, runner, region, options.fast_decode) for path, region in outputs.items()
        ]
        outdated = Outdated(catalog)
        jobs = [
            _Job(store, region, missing)
            for store, region in zip(stores, outputs.values(), strict=True)
            if (missing := outdated.of(store))
        ]
        if jobs:
            _fill(jobs, catalog, runner, options, progress)
    return stores


def extract_regions(
    catalog: Catalog,
    model: SavedModel | Embedder,
    output: str | Path,
    regions: tuple[Region, ...],
    options: EmbedOptions,
    progress: Progress | None = None,
) -> list[FeatureStore]:
    """Embed regions of every image into one store each, inside the store of the whole images.

    Args:
        catalog: images.
        model: saved, or a live network.
        output: folder of the store of the whole images.
        regions: to embed.
        options: settings.
        progress: called with (images done, images to do).

    Returns:
        One store per region; existing ones are resumed.
    """
    outputs = {region_path(output, region): region for region in regions}
    return extract_together(catalog, model, outputs, options, progress)


class _Job(NamedTuple):
    """A store to fill.

    Attributes:
        store: on disk.
        region: of the images that it holds; None is the whole.
        missing: id of an image to embed -> whether the store holds an outdated feature of it.
    """

    store: FeatureStore
    region: Region | None
    missing: Mapping[str, bool]


def _fill(
    jobs: Sequence[_Job],
    catalog: Catalog,
    runner: Runner,
    options: EmbedOptions,
    progress: Progress | None,
) -> None:
    """Embed the images that any store lacks, one shard at a time."""
    missing: set[str] = set().union(*(job.missing for job in jobs))
    rows = np.array(
        [row for row, name in enumerate(catalog.ids.tolist()) if name in missing], dtype=np.int64
    )
    group = max(1, options.batch_size // len(jobs))
    batches = decoded_batches(
        catalog,
        runner.preprocessing,
        [job.region for job in jobs],
        rows,
        batch_size=group,
        workers=runner.decoders() if options.workers is None else options.workers,
        shard_size=options.shard_size,
        fast=options.fast_decode,
    )
    # Images of earlier runs count, too: the verdict is that of one run through all of them.
    known = len(catalog) - len(rows)
    failures_before = _failures_before(jobs, set(catalog.ids.tolist()) - missing)
    done, failed = 0, len(failures_before)
    for start in range(0, len(rows), options.shard_size):
        names: list[str] = []
        features: list[F32] = []
        failures: list[Failure] = []
        stamps: dict[str, str] = {}
        part = rows[start : start + options.shard_size]
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
        examples = failures or failures_before
        _check_rate(failed, known + done, options.max_failure_rate, examples)
        joined = np.concatenate(features)
        for place, job in enumerate(jobs):
            _add(job, names, joined[:, place], failures, stamps, runner.name)
    batches.close()
    for job in jobs:
        _check_complete(job.store, catalog)


def _failures_before(jobs: Sequence[_Job], names: Collection[str]) -> list[Failure]:
    """Return the (id, reason) of these images that failed in earlier runs, each image once."""
    failures = {name: reason for job in jobs for name, reason in job.store.failures}
    return [(name, reason) for name, reason in failures.items() if name in names]


def _store(path: Path, runner: Runner, region: Region | None, fast_decode: bool) -> FeatureStore:
    preprocessing = asdict(runner.preprocessing) | ({"fast_decode": True} if fast_decode else {})
    if runner.preprocessing.resampling == Preprocessing.resampling:
        del preprocessing["resampling"]  # which older stores do not name
    if region is not None:
        preprocessing["region"] = list(region if region.pixels else region[:4])
    return FeatureStore.create(path, model=runner.hash, dim=runner.dim, preprocessing=preprocessing)


def _check_complete(store: FeatureStore, catalog: Catalog) -> None:
    """Check that images = embedded + failed over all runs."""
    images = set(catalog.ids.tolist())
    embedded = [name for name in store.ids.tolist() if name in images]
    failed = [name for name, _ in store.failures if name in images]
    if missing := images.difference(embedded, failed):
        raise AslError(
            f"extract: {counted(len(missing), 'image is', 'images are')} neither embedded nor "
            f"failed, e.g. {min(missing)!r}; run it again"
        )
    if len(embedded) + len(failed) != len(images):
        raise AslError(
            f"extract: {store.path} counts {len(embedded)} embedded and {len(failed)} failed of "
            f"{counted(len(images), 'image')}, so one is in it twice; delete it and extract again"
        )


def _add(
    job: _Job,
    names: list[str],
    features: F32,
    failures: list[Failure],
    stamps: Mapping[str, str],
    runner: str,
) -> None:
    """Add the images that a store lacks; a killed run may have left one ahead of the others."""
    new = [place for place, name in enumerate(names) if name in job.missing]
    broken = [(name, reason) for name, reason in failures if name in job.missing]
    added = [*(names[place] for place in new), *(name for name, _ in broken)]
    if added:
        job.store.add(
            added[: len(new)],
            np.ascontiguousarray(features[new]),
            broken,
            stamps=[stamps[name] for name in added],
            replaces=any(job.missing[name] for name in added),
            runner=runner,
        )


def _embedded(
    runner: Runner, batch: Batch, regions: int
) -> tuple[list[int], F32, list[tuple[int, str]], dict[int, str]]:
    """Embed a batch in one forward pass.

    Returns:
        Rows, float32 features ``[B, regions, D]``, (row, reason) of failures, row -> stamp. Rows
        with a feature that is not finite or 0 are failures.
    """
    rows, images, broken, marks = batch
    flat = runner.embed([picture for pictures in images for picture in pictures])
    features = flat.reshape(len(rows), regions, flat.shape[1])
    lengths = np.linalg.norm(features, axis=2)
    sound = (np.isfinite(lengths) & (lengths > 0)).all(axis=1)
    unsound = [
        (row, _NO_DIRECTION) for row, is_sound in zip(rows, sound, strict=True) if not is_sound
    ]
    embedded = [row for row, is_sound in zip(rows, sound, strict=True) if is_sound]
    return embedded, features[sound], broken + unsound, marks


def _check_rate(failed: int, done: int, limit: float, failures: list[Failure]) -> None:
    """Stop a run with too many failures: above the limit, or all of them.

    Args:
        failed: unreadable images, of earlier runs too.
        done: images so far, of earlier runs too.
        limit: share of ``done``, and of ``LEAST_FOR_RATE`` images where there are fewer.
        failures: (name, reason), for an example.

    Raises:
        AslError: naming the count, an example, and the option.
    """
    all_failed = failed == done and limit < 1
    if all_failed or failed > limit * max(done, LEAST_FOR_RATE):
        first = f", e.g. {failures[0][0]}: {failures[0][1]}" if failures else ""
        raise AslError(
            f"extract: {failed} of {counted(done, 'image')} cannot be read{first}; remove them, "
            f"or run `asl extract` with a max_failure_rate above {limit:g} and use its store"
        )
