"""Decode, crop and resize images for the network, in batches that a resumed run repeats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from asl.data.catalog import Catalog
from asl.data.decode_budget import within_budget
from asl.data.images import MAX_PIXELS, ImageError, Pixels
from asl.features.cropping import CropRegions, Region
from asl.features.fingerprints import content, glance
from asl.models import Preprocessing
from asl.types import I64, AslError

Batch = tuple[list[int], list[list[Pixels]], list[tuple[int, str]], dict[int, str]]


def decoded_batches(
    catalog: Catalog,
    plan: Preprocessing,
    regions: Sequence[Region | None],
    rows: I64,
    *,
    batch_size: int,
    workers: int,
    shard_size: int,
    fast: bool,
) -> Iterator[Batch]:
    """Yield images ready for the network, in order.

    Batches never cross the border of a shard, so that a resumed run forms the same ones.

    Args:
        catalog: images.
        plan: size and way of resizing.
        regions: of each image; None is the whole.
        rows: int64 ``[N]`` rows of the catalog.
        batch_size: images in a batch.
        workers: processes that decode; 0 decodes in this one.
        shard_size: images in a shard.
        fast: decode large JPEGs at a fraction of their size.

    Yields:
        (rows, their regions as pictures, (row, reason) of unreadable images, row -> stamp).
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


class _Decoded(Dataset[tuple[int, str, Any]]):
    """Map a row to (row, stamp, its regions ready for the network or why there are none)."""

    def __init__(
        self,
        catalog: Catalog,
        plan: Preprocessing,
        regions: Sequence[Region | None],
        fast: bool,
    ) -> None:
        self._catalog = catalog
        share = min((min(region[2:4]) for region in regions if region), default=1.0)
        least = int(2 * plan.size / share) if fast else 0
        self._crop = CropRegions(regions, plan.size, plan.resize, least)

    def __len__(self) -> int:
        return len(self._catalog)

    def __getitem__(self, row: int) -> tuple[int, str, Any]:
        # Stamped before it is read: a change in between is noticed the next time.
        stamp = f"{glance(self._catalog, row)}:"
        try:
            data = self._catalog.read(row)
            stamp += content(data)
            return row, stamp, within_budget(self._crop, data, max_pixels=MAX_PIXELS)[1]
        except ImageError as error:
            return row, stamp, error.reason
        except (AslError, OSError) as error:
            return row, stamp, f"cannot be read: {error}"


def _split(items: list[tuple[int, str, Any]]) -> Batch:
    good = [(row, value) for row, _, value in items if not isinstance(value, str)]
    broken = [(row, value) for row, _, value in items if isinstance(value, str)]
    return (
        [row for row, _ in good],
        [value for _, value in good],
        broken,
        {row: stamp for row, stamp, _ in items},
    )


def _one_thread(_: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
