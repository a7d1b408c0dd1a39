"""Open the inputs of a training: images, hard-negative pairs, and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asl.console.schemas.train_config import DataConfig
from asl.data.catalog import Catalog, open_catalog, subset
from asl.data.hard_pair_lists import read_hard_pairs
from asl.data.layouts import Benchmark, open_benchmark
from asl.data.sample_benchmark import sample_benchmark
from asl.data.training_set import HardPairs
from asl.types import UsageError

KINDS = ("sample", "folder", "ndec", "disc21")


@dataclass(frozen=True, eq=False)
class Sources:
    """The opened inputs of a training.

    Attributes:
        train: training images.
        hard_pairs: as rows of ``train``; None without any.
        benchmark: scored after the training; None without any.
        validation: scored during the training; None without any.
        pairs: hard pairs in a batch of one process.
    """

    train: Catalog
    hard_pairs: HardPairs | None
    benchmark: Benchmark | None
    validation: Benchmark | None
    pairs: int = 0


def open_sources(config: DataConfig, *, seed: int = 0) -> Sources:
    """Open the inputs that the configuration names; ``sample`` is generated.

    Raises:
        UsageError: a key that this kind of data needs is missing, or one is given that it does not
            read.
        AslError: a folder is empty or not in the layout.
    """
    _check(config)
    published = _published(config, seed)
    if config.name == "folder":
        if config.train is None:
            raise UsageError("data.train: needed with data=folder, e.g. `data.train=photos/`")
        train: Catalog = open_catalog(config.train)
    elif published is None or published.train is None:
        raise UsageError(
            f"data.root: needed with data={config.name}, a folder that has training images"
        )
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
        pairs=_pairs(config),
    )


def _check(config: DataConfig) -> None:
    """Refuse unknown kinds of data, and keys that the kind of data does not read."""
    name = config.name
    if name not in KINDS:
        raise UsageError(
            f"data.name: expected {', '.join(KINDS)}, got {name!r}; choose one by data=NAME"
        )
    if config.train is not None and name != "folder":
        own = (
            "makes its own training images"
            if name == "sample"
            else "has its training images in data.root"
        )
        raise UsageError(f"data.train: data={name} {own}; leave it out, or set data=folder")
    if name in ("sample", "folder"):
        for key, given in (("root", config.root is not None), ("layout", config.layout != "auto")):
            if given:
                raise UsageError(
                    f"data.{key}: is of published sets, not of data={name}; leave it out, or set "
                    "data=ndec"
                )


def _pairs(config: DataConfig) -> int:
    if config.pairs is None:
        return max(1, config.identities // 4) if config.hard_pairs else 0
    if config.pairs < 0:
        raise UsageError(f"data.pairs: must be 0 or more, got {config.pairs}")
    return config.pairs


def _published(config: DataConfig, seed: int) -> Benchmark | None:
    if config.name == "sample":
        return open_benchmark(sample_benchmark(seed=seed))
    if config.name == "folder":
        return None
    if config.root is None:
        raise UsageError(
            f"data.root: needed with data={config.name}; data/README.md shows the folders"
        )
    return open_benchmark(Path(config.root), layout=config.layout)


def _thin(train: Catalog, every: int, keep: set[str]) -> Catalog:
    """Take every n-th image, and every image of a hard pair."""
    if every < 1:
        raise UsageError(f"data.every: must be 1 or more, got {every}")
    if every == 1:
        return train
    chosen = np.zeros(len(train), dtype=bool)
    chosen[::every] = True
    if keep:
        chosen |= np.isin(train.ids, sorted(keep))
    return subset(train, np.flatnonzero(chosen))
