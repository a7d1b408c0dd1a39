"""Flat FAISS indexes on GPUs that hold the references, filled once and searched by ranges.

A GPU index cannot be searched in part: the kernels obey no selector. Searches by norm need ranges
of the references sorted by norm. So the sorted references are cut into at most 18 blocks, and each
block is split over the GPUs: every GPU takes part in every range, and every reference is sent once.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from asl.types import F32, I64

_BLOCK_ROWS = 8192  # rows of a block on one GPU, at least: fewer keep it no busier
_BLOCKS = 16
_FIRST_SHARE = 1 / 64  # norms differ most at either end, where bounds by norm want short blocks


@dataclass(frozen=True, eq=False)
class _Shard:
    """The part of a block on one GPU.

    Attributes:
        device: number of the GPU.
        low: held row of the index's first vector.
        index: a ``GpuIndexFlatIP``.
    """

    device: int
    low: int
    index: Any


@dataclass(frozen=True, eq=False)
class GpuShards:
    """References in flat GPU indexes.

    Attributes:
        borders: int64 ``[B + 1]`` held rows at which blocks begin and end.
        blocks: the shards of each block.
    """

    borders: I64
    blocks: tuple[tuple[_Shard, ...], ...]

    @classmethod
    def fill(
        cls, faiss: Any, resources: Sequence[Any], references: F32, order: I64 | None
    ) -> GpuShards:
        """Send references to the GPUs, each row once.

        Args:
            faiss: the FAISS module.
            resources: one ``StandardGpuResources`` per GPU.
            references: float32 ``[R, D]``.
            order: int64 ``[R]`` rows in the order in which they are held; None: as they are.

        Raises:
            RuntimeError: a GPU has no room.
        """
        borders = block_borders(len(references), devices=len(resources))
        blocks = []
        for low, high in pairwise(borders.tolist()):
            cuts = np.linspace(low, high, len(resources) + 1).astype(int).tolist()
            shards = []
            for device, (start, stop) in enumerate(pairwise(cuts)):
                if stop == start:
                    continue
                config = faiss.GpuIndexFlatConfig()
                config.device = device
                # FAISS's own float32 kernels: the certificate counts their rounding.
                config.use_cuvs = False
                index = faiss.GpuIndexFlatIP(resources[device], references.shape[1], config)
                # One call an index: several would make the GPU copy what it has, to grow.
                index.add(rows_in_order(references, order, start, stop))
                shards.append(_Shard(device, start, index))
            blocks.append(tuple(shards))
        return cls(borders, tuple(blocks))

    def top(self, queries: F32, m: int, *, low: int, high: int) -> tuple[F32, I64]:
        """Find the m largest inner products among the held rows low..high-1.

        Args:
            queries: float32 ``[Q, D]``.
            m: neighbours per query, at most high - low and 2,048.
            low: one of :attr:`borders`.
            high: one of :attr:`borders`.

        Returns:
            float32 ``[Q, m]`` descending, and int64 ``[Q, m]`` rows counted from ``low``.
        """
        first, last = np.searchsorted(self.borders, [low, high]).tolist()
        by_device: dict[int, list[_Shard]] = {}
        for block in self.blocks[first:last]:
            for shard in block:
                by_device.setdefault(shard.device, []).append(shard)

        def on_one(shards: list[_Shard]) -> tuple[F32, I64]:
            lists = []
            for shard in shards:
                scores, rows = shard.index.search(queries, min(m, shard.index.ntotal))
                lists.append((scores, rows + (shard.low - low)))
            return merge_top(lists, m)

        # A call waits for its GPU without Python's lock.
        with ThreadPoolExecutor(len(by_device)) as pool:
            lists = list(pool.map(on_one, by_device.values()))
        return merge_top(lists, m)


def block_borders(count: int, *, devices: int) -> I64:
    """Cut ``count`` rows into blocks: equal ones, but shorter at either end.

    Args:
        count: R.
        devices: GPUs over which every block is split.

    Returns:
        int64 ``[B + 1]``, ascending from 0 to R.

    >>> block_borders(1_000_000, devices=1).tolist()[:3]
    [0, 15625, 62500]
    >>> block_borders(1000, devices=1).tolist()
    [0, 1000]
    """
    blocks = min(_BLOCKS, count // (_BLOCK_ROWS * devices))
    if blocks < 2:
        return np.array([0, count], dtype=np.int64)
    shares = np.arange(blocks + 1) / blocks
    if blocks == _BLOCKS:
        shares = np.sort(np.append(shares, [_FIRST_SHARE, 1 - _FIRST_SHARE]))
    return np.unique((shares * count).astype(np.int64))


def rows_in_order(references: F32, order: I64 | None, low: int, high: int) -> F32:
    """Return float32 ``[high - low, D]`` contiguous: rows low..high-1 of the given order.

    >>> rows = np.array([[1.0], [2.0], [3.0]], dtype=np.float32)
    >>> rows_in_order(rows, np.array([2, 0, 1]), 0, 2).tolist()
    [[3.0], [1.0]]
    """
    rows = references[low:high] if order is None else references[order[low:high]]
    return np.ascontiguousarray(rows)


def merge_top(lists: list[tuple[F32, I64]], m: int) -> tuple[F32, I64]:
    """Merge lists of (scores ``[Q, m_i]``, rows ``[Q, m_i]``) into the m best, descending.

    >>> first = np.array([[0.9, 0.1]], np.float32), np.array([[4, 2]])
    >>> second = np.array([[0.5]], np.float32), np.array([[7]])
    >>> merge_top([first, second], 2)[1].tolist()
    [[4, 7]]
    """
    if len(lists) == 1:
        scores, rows = lists[0]
        return scores[:, :m], rows[:, :m].astype(np.int64, copy=False)
    scores = np.concatenate([part[0] for part in lists], axis=1)
    rows = np.concatenate([part[1] for part in lists], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :m]
    best_rows = np.take_along_axis(rows, order, axis=1).astype(np.int64, copy=False)
    return np.take_along_axis(scores, order, axis=1), best_rows
