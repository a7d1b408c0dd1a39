"""Pictures on their way to the network: decoded, cut, resized, in batches that a resumed run forms again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from asl.data.catalog import Catalog
from asl.data.images import ImageError, Pixels, decode_image, resize_image
from asl.features.fingerprints import content, glance
from asl.models import Preprocessing
from asl.types import AslError

Batch = tuple[list[int], list[list[Pixels]], list[tuple[int, str]], dict[int, str]]


class Region(NamedTuple):
    """A part of an image, as shares of its sides.

    Attributes:
        left: where it begins.
        top: where it begins.
        width: of the region.
        height: of the region.
        pixels: its longer side is drawn at so many pixels first (a thumbnail); 0 leaves it as it
            is.
    """

    left: float
    top: float
    width: float
    height: float
    pixels: int = 0


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
) -> Iterator[Batch]:
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


class _Decoded(Dataset[tuple[int, str, Any]]):
    """Row number -> (row, its stamp, its parts ready for the network, or the reason why there are none)."""

    def __init__(
        self,
        catalog: Catalog,
        plan: Preprocessing,
        regions: Sequence[Region | None],
        fast: bool = False,
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
            return (
                row,
                stamp,
                [resize_image(part, self._plan.size, mode=self._plan.resize) for part in parts],
            )
        except (AslError, OSError) as error:
            return (
                row,
                stamp,
                error.reason if isinstance(error, ImageError) else f"cannot be read: {error}",
            )


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
