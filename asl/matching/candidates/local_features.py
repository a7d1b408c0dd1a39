"""SIFT features as they vote for candidates: of references, and of a query's readings.

Up to 2,000 references their features are indexed with one byte a component; more are coded, in a
twelfth of the memory, in an index that grows with them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np

from asl.matching.align.prepare import Prepared, prepare
from asl.matching.align.sift import (
    mirrored_angles,
    mirrored_descriptors,
    negative_angles,
    negative_descriptors,
)
from asl.matching.candidates.exact_local_index import ExactLocalIndex
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.votes import FeatureIndex, rank_by_votes
from asl.matching.run.disk_cache import Cache
from asl.matching.run.workers import LoadImage
from asl.matching.values import Settings
from asl.parallel import spawned_map
from asl.types import F32, I64, AslError

Role = Literal["query", "reference"]
Features = TypeVar("Features")
EXACT_REFERENCES = 2000  # up to which features are indexed with one byte a component
_QUERY_FEATURES = 250  # of largest diameter that vote in a coded index
_IMAGES_PER_PROCESS = 400  # images for which starting another process pays
_CHUNK = 8  # images that are sent to a process together
_CHUNKS_AHEAD = 8  # chunks in the works for each process


def votes_of(
    index: FeatureIndex, query: LocalFeatures, k: int, *, count: int = 3
) -> tuple[I64, F32]:
    """Rank the references of an index by the votes of a query.

    Args:
        index: exact or coded.
        query: its features.
        k: maximum number of references.
        count: number of readings, in the order of :func:`readings`.

    Returns:
        As :func:`asl.matching.candidates.votes.rank_by_votes`.
    """
    return votes_of_readings(index, readings(query)[:count], k)


def votes_of_readings(
    index: FeatureIndex, found: Sequence[LocalFeatures], k: int
) -> tuple[I64, F32]:
    """Rank the references of an index by the votes of the readings of a query."""
    if not isinstance(index, ExactLocalIndex):
        found = [reading.largest(_QUERY_FEATURES) for reading in found]
    return rank_by_votes(index, found, k)


def local_features(image: Prepared) -> LocalFeatures:
    """Local features of a prepared image, without image and positions."""
    return LocalFeatures(image.scales, image.angles, image.descriptors)


def readings(features: LocalFeatures) -> list[LocalFeatures]:
    """Readings of a query: as it is, mirrored, and as a negative (features permuted)."""
    return [
        features,
        LocalFeatures(
            features.scales,
            mirrored_angles(features.angles),
            mirrored_descriptors(features.descriptors),
        ),
        LocalFeatures(
            features.scales,
            negative_angles(features.angles),
            negative_descriptors(features.descriptors),
        ),
    ]


NO_FEATURES = LocalFeatures(
    np.empty(0, np.float32), np.empty(0, np.float32), np.empty((0, 128), np.uint8)
)


@dataclass(frozen=True)
class Reader:
    """Read local features of images of one role, from the cache or by detection.

    Attributes:
        load: name -> uint8 ``[H, W, 3]`` RGB; an ``AslError`` or ``OSError`` is recorded as a
            failure of that image.
        settings: working size and number of features.
        role: part of the key of the cache.
        cache: prepared images on disk; None for no cache.
    """

    load: LoadImage
    settings: Settings = field(default_factory=Settings)
    role: Role = "reference"
    cache: Cache | None = None

    def __call__(self, name: str) -> LocalFeatures | str:
        """Read the features of one image; return the reason as a string on failure."""
        prepared = self.cache.get(self.role, name) if self.cache else None
        if prepared is None:
            try:
                prepared = prepare(self.load(name), self.settings)
            except (AslError, OSError) as error:
                return str(error)
            if self.cache:
                self.cache.put(self.role, name, prepared)
        return local_features(prepared)


@dataclass(frozen=True)
class _OneReading:
    """Read the features of an image as its one reading."""

    reader: Reader

    def __call__(self, name: str) -> list[LocalFeatures] | str:
        found = self.reader(name)
        return found if isinstance(found, str) else [found]


class SiftVotes:
    """SIFT features as a kind of features that vote."""

    nothing = NO_FEATURES

    @property
    def exact_references(self) -> int:
        """Up to which features are indexed with one byte a component."""
        return EXACT_REFERENCES

    def identify(self, settings: Settings) -> str:
        """Name the kind of features and the settings that they depend on."""
        return f"{settings.size} {settings.features}"

    def reader(
        self, load: LoadImage, settings: Settings, role: Role, cache: Cache | None
    ) -> Callable[[str], list[LocalFeatures] | str]:
        """Return what reads the features of one image."""
        return _OneReading(Reader(load, settings, role, cache))

    def readings(self, found: Sequence[LocalFeatures]) -> list[LocalFeatures]:
        """Return the readings of a query: as it is, mirrored, and as a negative."""
        return [reading for features in found for reading in readings(features)]


SIFT = SiftVotes()


def read_features(
    reader: Callable[[str], Features | str], names: Sequence[str], *, workers: int | None = None
) -> Iterator[tuple[str, Features | str]]:
    """Read the local features of images, in this process or in several.

    Args:
        reader: reads those of one image, e.g. :class:`Reader`; must be picklable where ``workers``
            is above 1.
        names: of the images.
        workers: number of processes; None for one per core where there are many images.

    Yields:
        (name, features or the reason why there are none), in order.

    Raises:
        AslError: a loader that cannot be sent to other processes.
    """
    if workers is None:  # a process takes a second or two to start
        workers = min(os.cpu_count() or 1, 1 + len(names) // _IMAGES_PER_PROCESS)
    if workers <= 1:
        yield from ((name, reader(name)) for name in names)
        return
    read = spawned_map(reader, names, processes=workers, chunk=_CHUNK, ahead=_CHUNKS_AHEAD)
    yield from zip(names, read, strict=True)
