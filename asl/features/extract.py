"""Embed every image of a catalog once, in order; killed at any moment it loses at most the shard in progress.

Images that have changed since they were embedded are embedded again; see :mod:`asl.features.stamps`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from asl.data.catalog import Catalog
from asl.data.images import ImageError, Pixels, decode_image, resize_image
from asl.features.runner import Runner
from asl.features.stamps import Outdated, content, glance
from asl.features.store import FeatureStore
from asl.models import Embedder, Preprocessing, model_hash
from asl.types import F32, AslError

Progress = Callable[[int, int], None]
_ENOUGH = 20  # images from which on a failure rate says something
_NO_DIRECTION = "its feature is not finite, or 0"


class Region(NamedTuple):
    """A part of an image, as shares of its sides.

    Attributes:
        left: where it begins.
        top: where it begins.
        width: of the region.
        height: of the region.
        pixels: its longer side is drawn at so many pixels first (a thumbnail); 0 leaves it as it is.
    """

    left: float
    top: float
    width: float
    height: float
    pixels: int = 0


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
        workers: processes that decode; 0 decodes in this one. None: none beside a model on the CPU, whose cores they
            would only take away, one a core (8 at most) with a GPU.
        shard_size: images per shard, the most that a kill can lose.
        max_failure_rate: share of unreadable images above which the run stops.
        device: ``auto``, ``cpu``, ``cuda`` ...
        fast_decode: large JPEGs are decoded at a fraction of their size, twice what the network needs at least; the
            store says so, and only stores that agree in it belong together.
        progress: called with (images done, images to do).

    Raises:
        AslError: too many unreadable images, or a store of another model.
    """
    if not 0 <= max_failure_rate <= 1 or batch_size < 1 or shard_size < 1:
        raise AslError("extract: batch_size and shard_size must be 1 or more, max_failure_rate in 0..1")
    every = [_store(path, embedder, region, fast_decode) for path, region in outputs.items()]
    outdated = Outdated(catalog)
    wanted = {place: lacking for place, store in enumerate(every) if (lacking := outdated.of(store))}
    if not wanted:
        return every
    regions, stores = [list(outputs.values())[place] for place in wanted], [every[place] for place in wanted]
    anywhere: set[str] = set().union(*wanted.values())
    rows = np.array([row for row, name in enumerate(catalog.ids.tolist()) if name in anywhere], dtype=np.int64)
    runner = Runner(embedder, device, batch_size)
    group = max(1, batch_size // len(regions))
    plan, workers = embedder.preprocessing, runner.decoders() if workers is None else workers
    batches = decoded_batches(
        catalog, plan, regions, rows, batch_size=group, workers=workers, shard_size=shard_size, fast=fast_decode
    )
    done = failed = 0
    for start in range(0, len(rows), shard_size):
        names, features, failures = [], [], []
        stamps: dict[str, str] = {}
        part = rows[start : start + shard_size]
        for _ in range(0, len(part), group):
            chunk, embedded, broken, marks = _embedded(runner, next(batches), len(regions))
            features.append(embedded)
            names += [str(catalog.ids[row]) for row in chunk]
            failures += [(str(catalog.ids[row]), reason) for row, reason in broken]
            stamps |= {str(catalog.ids[row]): mark for row, mark in marks.items()}
            done += len(chunk) + len(broken)
            if progress:
                progress(done, len(rows))
        failed += len(failures)
        _check_rate(failed, len(catalog) - len(rows) + done, max_failure_rate, failures)  # one new one may be broken
        joined = np.concatenate(features)
        for place, (store, lacking) in enumerate(zip(stores, wanted.values(), strict=True)):
            _add(store, lacking, names, joined[:, place], failures, stamps)
    for store in stores:
        _check_complete(store, catalog)
    return every


def _store(path: Path, embedder: Embedder, region: Region | None, fast_decode: bool) -> FeatureStore:
    preprocessing = asdict(embedder.preprocessing) | ({"fast_decode": True} if fast_decode else {})
    if region is not None:
        preprocessing["region"] = list(region if region.pixels else region[:4])
    return FeatureStore.create(path, model=model_hash(embedder), dim=embedder.dim, preprocessing=preprocessing)


def _check_complete(store: FeatureStore, catalog: Catalog) -> None:
    missing = set(catalog.ids.tolist()) - store.stamps().keys()
    if missing:
        raise AslError(f"extract: {len(missing)} image(s) are neither embedded nor failed, e.g. {min(missing)!r}")


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
        store.add(added[: len(new)], np.ascontiguousarray(features[new]), broken, stamps=marks, replaces=replaces)


def _embedded(
    runner: Runner, batch: _Batch, parts: int
) -> tuple[list[int], F32, list[tuple[int, str]], dict[int, str]]:
    """A batch with features ``[B, parts, D]``; rows of which one is not finite or has no direction are broken ones."""
    rows, images, broken, marks = batch
    # Lists of a row's parts: [rows, parts] pictures in one forward pass.
    flat = runner.embed([picture for pictures in images for picture in pictures])
    features = flat.reshape(len(rows), parts, flat.shape[1])
    lengths = np.linalg.norm(features, axis=2)
    sound = (np.isfinite(lengths) & (lengths > 0)).all(axis=1)
    unsound = [(row, _NO_DIRECTION) for row, is_sound in zip(rows, sound, strict=True) if not is_sound]
    kept = [row for row, is_sound in zip(rows, sound, strict=True) if is_sound]
    return kept, features[sound], broken + unsound, marks


def _check_rate(failed: int, done: int, limit: float, failures: list[tuple[str, str]]) -> None:
    if (failed == done and limit < 1) or (failed > limit * done and (done >= _ENOUGH or not limit)):
        first = f", e.g. {failures[0][0]}: {failures[0][1]}" if failures else ""
        raise AslError(
            f"extract: {failed} of {done} images cannot be read{first}; the limit is max_failure_rate={limit:g}"
        )


class _Decoded(Dataset[tuple[int, str, Any]]):
    """Row number -> (row, its stamp, its parts ready for the network, or the reason why there are none)."""

    def __init__(
        self, catalog: Catalog, plan: Preprocessing, regions: Sequence[Region | None], fast: bool = False
    ) -> None:
        self._catalog, self._plan, self._regions = catalog, plan, regions
        share = min((min(region[2:4]) for region in regions if region), default=1.0)
        self._least = int(2 * plan.size / share) if fast else 0

    def __len__(self) -> int:
        return len(self._catalog)

    def __getitem__(self, row: int) -> tuple[int, str, Any]:
        # The glance comes first: what is written in between is noticed the next time.
        stamp = f"{glance(self._catalog, row)}:"
        try:
            data = self._catalog.read(row)
            stamp += content(data)
            image = decode_image(data, least=self._least)
            parts = [cut(image, region) for region in self._regions]
            return row, stamp, [resize_image(part, self._plan.size, mode=self._plan.resize) for part in parts]
        except (AslError, OSError) as error:
            return row, stamp, error.reason if isinstance(error, ImageError) else f"cannot be read: {error}"


_Batch = tuple[list[int], list[list[Pixels]], list[tuple[int, str]], dict[int, str]]


def cut(image: Pixels, region: Region | None) -> Pixels:
    """A region of an image, one pixel at least, perhaps as a thumbnail; None is the whole."""
    if region is None:
        return image
    height, width = image.shape[:2]
    left, top = min(int(region[0] * width), width - 1), min(int(region[1] * height), height - 1)
    right, bottom = round((region[0] + region[2]) * width), round((region[1] + region[3]) * height)
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    longest = max(part.shape[:2])
    if not 0 < region.pixels < longest:
        return part
    size = [max(1, round(side * region.pixels / longest)) for side in part.shape[1::-1]]
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA))


def decoded_batches(
    catalog: Catalog,
    plan: Preprocessing,
    regions: Sequence[Region | None],
    rows: npt.NDArray[np.int64],
    *,
    batch_size: int,
    workers: int,
    shard_size: int = 4096,
    fast: bool = False,
) -> Iterator[_Batch]:
    """Images ready for the network, in order: batches of (rows, parts, unreadable rows with reasons, row -> stamp).

    Batches never cross a shard's border, so that a resumed run forms the same ones.
    """
    groups = [
        rows[low : min(low + batch_size, start + shard_size)].tolist()
        for start in range(0, len(rows), shard_size)
        for low in range(start, min(start + shard_size, len(rows)), batch_size)
    ]
    loader = DataLoader(
        _Decoded(catalog, plan, regions, fast),
        batch_sampler=groups,
        num_workers=workers,
        collate_fn=_split,
        worker_init_fn=_one_thread if workers else None,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)


def _split(items: list[tuple[int, str, Any]]) -> _Batch:
    good = [(row, value) for row, _, value in items if not isinstance(value, str)]
    broken = [(row, value) for row, _, value in items if isinstance(value, str)]
    return [row for row, _ in good], [value for _, value in good], broken, {row: stamp for row, stamp, _ in items}


def _one_thread(_: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
