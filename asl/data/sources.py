"""What a training reads: images, hard-negative pairs, a benchmark to score, a benchmark to watch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from asl.data.catalog import Catalog, open_catalog, subset
from asl.data.hard_pairs import read_hard_pairs
from asl.data.layouts import Benchmark, open_benchmark
from asl.data.sample import sample_benchmark
from asl.data.training_set import HardPairs
from asl.types import UsageError


@dataclass
class DataConfig:
    """Keys of the ``data`` group.

    Attributes:
        name: ``sample`` (generated, no download), ``folder`` or a published layout (``ndec``, ``disc21``).
        train: folder, list, tar or Parquet of training images (``folder``).
        root: folder of a published data set.
        layout: its layout; ``auto`` looks.
        benchmark: folder of a benchmark to score in the end; where null, the published set's own one is.
        validation: folder of a benchmark to watch during training (never the one that is reported).
        hard_pairs: CSV of pairs of ids of training images that look alike and are not copies.
        every: use every n-th training image.
        identities: sources in a batch of one process.
        views: views of each source.
        pairs: hard-negative pairs in a batch of one process (each is two of the identities).
        sizes: pixels of the square side; several for progressive resolution.
        size_starts: the epoch from which on each of the sizes holds; the first is 0.
        content: what the norms are ordered by: ``detail``, ``visible`` or ``area``.
        grid: side of the patch grid for losses on patches; 0 for none.
        workers: processes that make views.
    """

    name: str = "sample"
    train: str | None = None
    root: str | None = None
    layout: str = "auto"
    benchmark: str | None = None
    validation: str | None = None
    hard_pairs: str | None = None
    every: int = 1
    identities: int = 24
    views: int = 4
    pairs: int = 0
    sizes: list[int] = field(default_factory=lambda: [112])
    size_starts: list[int] = field(default_factory=lambda: [0])
    content: str = "detail"
    grid: int = 0
    workers: int = 1


@dataclass(frozen=True, eq=False)
class Sources:
    """The opened inputs of a training; ids of ``hard_pairs`` are rows of ``train``."""

    train: Catalog
    hard_pairs: HardPairs | None
    benchmark: Benchmark | None
    validation: Benchmark | None


def open_sources(config: DataConfig, *, seed: int = 0) -> Sources:
    """Open (and for ``sample`` make) what the configuration names.

    Raises:
        UsageError: a key that this kind of data needs is missing.
        AslError: a folder is empty or not in the layout.
    """
    published = _published(config, seed)
    if config.name == "folder":
        if config.train is None:
            raise UsageError("data.train: needed with data=folder, e.g. `data.train=photos/`")
        train: Catalog = open_catalog(config.train)
    elif published is None or published.train is None:
        raise UsageError(f"data.root: needed with data={config.name}, a folder that has training images")
    else:
        train = published.train
    pairs = read_hard_pairs(Path(config.hard_pairs)) if config.hard_pairs else []
    if published is not None and published.hard_pairs and not pairs:
        pairs = list(published.hard_pairs)
    train = _thin(train, config.every, {name for pair in pairs for name in pair[:2]})
    return Sources(
        train=train,
        hard_pairs=HardPairs.from_ids(pairs, train) if pairs else None,
        benchmark=open_benchmark(Path(config.benchmark)) if config.benchmark else published,
        validation=open_benchmark(Path(config.validation)) if config.validation else None,
    )


def _published(config: DataConfig, seed: int) -> Benchmark | None:
    if config.name == "sample":
        return open_benchmark(sample_benchmark(seed=seed))
    if config.name == "folder":
        return None
    if config.root is None:
        raise UsageError(f"data.root: needed with data={config.name}; data/README.md shows the folders")
    return open_benchmark(Path(config.root), layout=config.layout)


def _thin(train: Catalog, every: int, keep: set[str]) -> Catalog:
    """Every n-th image, and every image that a hard pair needs."""
    if every < 1:
        raise UsageError(f"data.every: must be 1 or more, got {every}")
    if every == 1:
        return train
    chosen = np.zeros(len(train), dtype=bool)
    chosen[::every] = True
    if keep:
        chosen |= np.isin(train.ids, sorted(keep))
    return subset(train, np.flatnonzero(chosen))
