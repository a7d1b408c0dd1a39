"""Open the inputs of a training: images, hard-negative pairs, and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np

from asl.console.offered_values import LAYOUTS
from asl.console.schemas.train_config import DataConfig
from asl.counts import counted
from asl.data.catalog import Catalog, open_catalog, subset
from asl.data.hard_pair_lists import HardPair, read_hard_pairs
from asl.data.layouts import Benchmark, open_benchmark
from asl.data.sample_benchmark import sample_benchmark
from asl.data.training_set import LEAST_SIDE, Content, HardPairs, PairsAs
from asl.storage import absent
from asl.types import Progress, UsageError

ROLES = ("classes", "negatives", "positives", "none")
KINDS = ("sample", "folder", "ndec", "disc21")


@dataclass(frozen=True, eq=False)
class Sources:
    """The opened inputs of a training.

    Attributes:
        train: training images.
        hard_pairs: as rows of ``train``; None without any, or where they are left out.
        benchmark: scored after the training; None without any.
        validation: scored during the training; None without any.
        pairs: hard pairs in a batch of one process.
        left_out: folder of a pair that is no pair -> reason.
        unused_pairs: hard pairs that were given, and are left out (``hard_pairs_as=none``).
    """

    train: Catalog
    hard_pairs: HardPairs | None
    benchmark: Benchmark | None
    validation: Benchmark | None
    pairs: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)
    unused_pairs: int = 0


def open_sources(config: DataConfig, *, seed: int = 0, progress: Progress | None = None) -> Sources:
    """Open the inputs that the configuration names; ``sample`` is generated.

    Args:
        config: of the data.
        seed: of generated images.
        progress: called with (images written, images to write) while they are generated.

    Raises:
        UsageError: a key that this kind of data needs is missing, or one is given that it does not
            read.
        AslError: a folder is empty or not in the layout.
    """
    check_keys(config)
    check_paths(config)
    published = _published(config, seed, progress)
    if config.name == "folder":
        train: Catalog = open_catalog(str(config.train))
    elif published is None or published.train is None:
        raise UsageError(
            f"data.root: needed with data={config.name}, a folder that has training images"
        )
    else:
        train = published.train
    listed, unused_pairs = _listed_pairs(config, published), 0
    if config.hard_pairs_as == "none":
        listed, unused_pairs = [], len(listed)
        train = _without(train, published.pair_images if published else frozenset())
    train = _thin(train, config.every, {name for pair in listed for name in pair[:2]})
    role: PairsAs = config.hard_pairs_as  # type: ignore[assignment]
    source = config.hard_pairs or "hard pairs"
    pairs = _pairs(config, listed)
    _check_room(config.identities, pairs)
    if pairs and not listed:
        raise UsageError(
            f"data.pairs: the data has no hard pairs, got {pairs}; leave it out, or name a list by "
            "data.hard_pairs="
        )
    return Sources(
        train=train,
        hard_pairs=HardPairs.from_ids(listed, train, role=role, source=source) if listed else None,
        benchmark=open_benchmark(Path(config.benchmark)) if config.benchmark else published,
        validation=open_benchmark(Path(config.validation)) if config.validation else None,
        pairs=pairs,
        left_out=published.broken_pairs if published else {},
        unused_pairs=unused_pairs,
    )


def check_keys(config: DataConfig) -> None:
    """Refuse keys that are missing, that do not go together, or that would be ignored.

    Raises:
        UsageError: naming the key.
    """
    _check(config)
    _check_pairs(config)
    _check_batches(config)
    if config.name == "folder" and config.train is None:
        raise UsageError("data.train: needed with data=folder, e.g. `data.train=photos/`")


def check_paths(config: DataConfig) -> None:
    """Refuse paths that do not exist, all before any is read.

    Raises:
        UsageError: naming the key.
    """
    for key in ("train", "root", "benchmark", "validation", "hard_pairs"):
        path = getattr(config, key)
        if path and not Path(path).exists():
            raise UsageError(f"data.{key}: {absent(path)}; check the path")


def _listed_pairs(config: DataConfig, published: Benchmark | None) -> list[HardPair]:
    if config.hard_pairs:
        return read_hard_pairs(Path(config.hard_pairs))
    return list(published.hard_pairs) if published is not None else []


def _check(config: DataConfig) -> None:
    """Refuse unknown kinds of data, and keys that would be ignored."""
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
    elif config.layout not in ("auto", *LAYOUTS):
        raise UsageError(
            f"data.layout: expected {', '.join(LAYOUTS)} or auto, got {config.layout!r}"
        )


def _check_pairs(config: DataConfig) -> None:
    if config.hard_pairs_as not in ROLES:
        raise UsageError(
            f"data.hard_pairs_as: expected {', '.join(ROLES)}, got {config.hard_pairs_as!r}"
        )
    if config.pairs is not None and config.pairs < 0:
        raise UsageError(f"data.pairs: must be 0 or more, got {config.pairs}")
    if config.hard_pairs_as == "none" and config.pairs:
        raise UsageError(
            f"data.pairs: hard pairs are left out (data.hard_pairs_as=none), got {config.pairs}; "
            "set it to 0 or null, or choose classes, negatives or positives"
        )


def _check_batches(config: DataConfig) -> None:
    """Refuse batches that no training can have; the default of pairs is checked with the data."""
    if config.identities < 2:
        raise UsageError(
            f"data.identities: must be 2 or more, got {config.identities}; a loss needs images to "
            "tell apart"
        )
    _check_room(config.identities, config.pairs or 0)
    if config.content not in get_args(Content):
        raise UsageError(
            f"data.content: expected {', '.join(get_args(Content))}, got {config.content!r}"
        )
    if config.views < 2:
        raise UsageError(
            f"data.views: must be 2 or more, got {config.views}; two views of an image make a "
            "positive pair"
        )
    if not config.sizes or min(config.sizes) < LEAST_SIDE:
        raise UsageError(
            f"data.sizes: needs one side or more of at least {LEAST_SIDE} pixels, got "
            f"{config.sizes}"
        )
    if len(config.sizes) != len(config.size_starts) or 0 not in config.size_starts:
        raise UsageError(
            f"data.size_starts: needs one epoch for each of data.sizes={config.sizes}, the first "
            f"of them 0; got {config.size_starts}"
        )


def _check_room(identities: int, pairs: int) -> None:
    if identities - 2 * pairs < 1:
        raise UsageError(
            f"data.identities: {identities} in a batch leave no room for single images beside "
            f"{counted(pairs, 'hard pair')} of two; raise it, or lower data.pairs"
        )


def _pairs(config: DataConfig, listed: Sequence[HardPair]) -> int:
    if config.hard_pairs_as == "none":
        return 0
    if config.pairs is None:
        asked = bool(config.hard_pairs) or config.name == "ndec"
        share = 16 if config.hard_pairs_as == "classes" else 4
        return max(1, config.identities // share) if asked and listed else 0
    return config.pairs


def _published(config: DataConfig, seed: int, progress: Progress | None) -> Benchmark | None:
    if config.name == "sample":
        return open_benchmark(sample_benchmark(seed=seed, progress=progress))
    if config.name == "folder":
        return None
    if config.root is None:
        raise UsageError(
            f"data.root: needed with data={config.name}; data/README.md shows the folders"
        )
    return open_benchmark(Path(config.root), layout=config.layout)


def _without(train: Catalog, left_out: frozenset[str]) -> Catalog:
    if not left_out:
        return train
    rows = [row for row, name in enumerate(train.ids.tolist()) if name not in left_out]
    if not rows:
        raise UsageError(
            "data.hard_pairs_as: none leaves out every training image, all come with pairs; choose "
            "classes, negatives or positives"
        )
    return subset(train, rows)


def _thin(train: Catalog, every: int, keep: set[str]) -> Catalog:
    """Choose every n-th image, and every image of a hard pair."""
    if every < 1:
        raise UsageError(f"data.every: must be 1 or more, got {every}")
    if every == 1:
        return train
    chosen = np.zeros(len(train), dtype=bool)
    chosen[::every] = True
    if keep:
        chosen |= np.isin(train.ids, sorted(keep))
    return subset(train, np.flatnonzero(chosen))


def describe_passes(sources: Sources, *, identities: int, steps: int, processes: int) -> str:
    """Describe how often a training sees each kind of image.

    Args:
        sources: images and pairs.
        identities: sources in a batch of one process, hard pairs included.
        steps: batches of the whole training.
        processes: number of processes.

    Returns:
        One line for people, e.g. ``200,000 batches: a plain image is seen 64.0 times``.
    """
    singles = identities - 2 * sources.pairs
    plain = steps * processes * singles / len(sources.train)
    line = f"{counted(steps, 'batch', 'batches')}: a plain image is seen {plain:.1f} times"
    if sources.hard_pairs is None:
        unused = counted(sources.unused_pairs, "hard pair")
        return f"{line}, {unused} left out (hard_pairs_as=none)" if sources.unused_pairs else line
    rows = np.unique(sources.hard_pairs.rows)
    drawn = steps * processes * 2 * sources.pairs / len(rows)
    return (
        f"{line}, one of the {counted(len(rows), 'image')} of "
        f"{counted(len(sources.hard_pairs), 'hard pair')} "
        f"{plain + drawn:.1f} times (pairs as {sources.hard_pairs.role})"
    )
