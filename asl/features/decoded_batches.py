"""Decode, crop and resize images for the network, in batches that a resumed run repeats."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from asl.data.catalog import Catalog
from asl.data.decode_budget import within_budget
from asl.data.image_error import reason_of
from asl.data.images import MAX_PIXELS, Pixels
from asl.features.cropping import CropRegions, Region
from asl.features.fingerprints import content, glance
from asl.models import Preprocessing
from asl.parallel import spawned_map, usable_cores
from asl.types import I64, AslError

Batch = tuple[list[int], list[list[Pixels]], list[tuple[int, str]], dict[int, str]]
Decoded = tuple[int, str, list[Pixels] | str]
_BATCHES_AHEAD = 2  # decoded by threads while the network works


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
) -> Generator[Batch, None, None]:
    """Yield images ready for the network, in order.

    Close it after the last batch: its threads end there, and not in a finaliser, which would
    swallow an interrupt.

    Batches never cross the border of a shard, so that a resumed run forms the same ones.

    Args:
        catalog: images.
        plan: size and way of resizing.
        regions: of each image; None is the whole.
        rows: int64 ``[N]`` rows of the catalog.
        batch_size: images in a batch.
        workers: processes that decode; 0 decodes in threads of this one.
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
    share = min((min(region[2:4]) for region in regions if region), default=1.0)
    least = int(2 * plan.size / share) if fast else 0
    decode = _Decode(catalog, CropRegions(regions, plan, least))
    if workers:
        decoded = spawned_map(decode.all, groups, processes=workers, what="the images")
    else:
        decoded = _in_threads(decode, groups)
    with closing(decoded):
        for items in decoded:
            yield _batch(items)


@dataclass(frozen=True)
class _Decode:
    """Map a row to (row, stamp, its regions ready for the network or why there are none)."""

    catalog: Catalog
    crop: CropRegions

    def __call__(self, row: int) -> Decoded:
        # Stamped before it is read: a change in between is noticed the next time.
        stamp = f"{glance(self.catalog, row)}:"
        try:
            data = self.catalog.read(row)
            stamp += content(data)
            return row, stamp, within_budget(self.crop, data, max_pixels=MAX_PIXELS)[1]
        except (AslError, OSError) as error:
            return row, stamp, reason_of(error)

    def all(self, rows: list[int]) -> list[Decoded]:
        return [self(row) for row in rows]


def _in_threads(
    decode: _Decode, groups: Sequence[list[int]]
) -> Generator[list[Decoded], None, None]:
    """Decode in as many threads as there are cores, a few batches ahead of the reader."""
    with ThreadPoolExecutor(usable_cores(), thread_name_prefix="decode") as pool:
        waiting: deque[list[Future[Decoded]]] = deque()
        try:
            for rows in groups:
                waiting.append([pool.submit(decode, row) for row in rows])
                if len(waiting) > _BATCHES_AHEAD:
                    yield [future.result() for future in waiting.popleft()]
            while waiting:
                yield [future.result() for future in waiting.popleft()]
        finally:
            for futures in waiting:
                for future in futures:
                    future.cancel()


def _batch(items: list[Decoded]) -> Batch:
    good = [(row, value) for row, _, value in items if not isinstance(value, str)]
    broken = [(row, value) for row, _, value in items if isinstance(value, str)]
    return (
        [row for row, _ in good],
        [value for _, value in good],
        broken,
        {row: stamp for row, stamp, _ in items},
    )
