"""Retrieve candidates by local features, to find copies that a global embedding misses.

References are indexed once, queries vote (:mod:`asl.matching.candidates.votes`); both are prepared
in this process or in several, with a cache on disk. Up to 2,000 references are indexed with one
byte a component; more are coded, in a twelfth of the memory, in an index that grows with them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from asl.matching.align.prepare import Prepared, prepare
from asl.matching.align.sift import (
    mirrored_angles,
    mirrored_descriptors,
    negative_angles,
    negative_descriptors,
)
from asl.matching.candidates.coded_local_index import CODES, coded_local_index, image_key
from asl.matching.candidates.exact_local_index import ExactLocalIndex
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.votes import FeatureIndex, joined_lists, rank_by_votes
from asl.matching.run.disk_cache import Cache
from asl.matching.run.workers import LoadImage
from asl.matching.values import Settings
from asl.parallel import spawned_map
from asl.shared_defaults import LOCAL_CANDIDATES
from asl.storage import WriteError
from asl.types import F32, I64, AslError, Progress, ScoredPairs, StrArray

Role = Literal["query", "reference"]
Features = TypeVar("Features")
EXACT_REFERENCES = 2000  # up to which features are indexed with one byte a component
_QUERY_FEATURES = 250  # of largest diameter that vote in a coded index
_IMAGES_PER_PROCESS = 400  # images for which starting another process pays
_CHUNK = 8  # images that are sent to a process together
_CHUNKS_AHEAD = 8  # chunks in the works for each process


@dataclass(frozen=True, eq=False)
class LocalCandidates:
    """Candidate pairs retrieved by local features.

    Attributes:
        pairs: the references with most votes of every query; scores are votes, above 0.
        failures: ``query:ID`` or ``reference:ID`` -> reason why the image could not be read.
    """

    pairs: ScoredPairs
    failures: Mapping[str, str]


def local_candidates(
    queries: StrArray,
    references: StrArray,
    *,
    load_query: LoadImage,
    load_reference: LoadImage,
    k: int = LOCAL_CANDIDATES,
    settings: Settings | None = None,
    workers: int | None = None,
    cache: Path | None = None,
    collection: str = "",
    versions: Sequence[str] | None = None,
    keep: Path | None = None,
    progress: Progress | None = None,
) -> LocalCandidates:
    """Retrieve the references that share most local features with each query.

    The mirrored query and its negative vote as well.

    Args:
        queries: query ids, ``[Q]``.
        references: reference ids, ``[R]``.
        load_query: query id -> uint8 ``[H, W, 3]`` RGB; an ``AslError`` or ``OSError`` is recorded
            as a failure of that image.
        load_reference: the same for references. Both must be picklable where ``workers`` is above
            1.
        k: maximum number of references per query.
        settings: of the verifier that will compare the candidates.
        workers: number of processes; None for one per core where there are many images.
        cache: folder of prepared references, shared with ``verify_pairs``.
        collection: identifies the set of references in the cache and in the saved index.
        versions: version of each reference, e.g. a hash of its file's size and time, ``[R]``: a
            large index is brought up to date by them. None: ``collection`` is that of all.
        keep: file of the index of the references; reused where it was built from the same ids,
            collection and settings. It is not written where a reference could not be read or the
            folder is read-only. The index of more than 2,000 references is in a folder of the same
            name with the suffix ``.codes``.
        progress: called with (images done, images to do).

    Returns:
        Up to ``k`` candidates of each query, most votes first, and the unreadable images.

    Raises:
        AslError: ``k`` below 1, or a loader that cannot be sent to other processes.
    """
    if k < 1:
        raise AslError(f"k: must be 1 or more, got {k}")
    settings = settings or Settings()
    source = _Source(
        references,
        Reader(
            load_reference,
            settings,
            "reference",
            None if cache is None else Cache(cache, settings, collection),
        ),
        workers,
        collection,
        versions,
    )
    asked = _Source(queries, Reader(load_query, settings, "query"), workers)
    display = _Display(progress, len(queries))
    index = (
        _exact_index(source, keep, display)
        if len(references) <= EXACT_REFERENCES
        else _coded_index(source, keep, display)
    )
    lists = [
        votes_of(index, query or _NO_FEATURES, k)
        for query in asked.features(range(len(queries)), display)
    ]
    pairs = joined_lists(queries, references, lists)
    return LocalCandidates(pairs, {**source.failures, **asked.failures})


class _Display:
    """Report images done out of images to do; what is to do grows while it is found out."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def expect(self, count: int) -> None:
        """Add images to do."""
        self._total += count

    def advance(self) -> None:
        """Count one image as done."""
        self._done += 1
        if self._progress:
            self._progress(self._done, self._total)


@dataclass(frozen=True, eq=False)
class _Source:
    """Images of one role, and what identifies them.

    Attributes:
        ids: ``[N]``.
        reader: of their features.
        workers: processes.
        collection: identifies the set of images.
        versions: of each image; None: ``collection``.
        failures: role and id of images that could not be read -> reason.
    """

    ids: StrArray
    reader: Reader
    workers: int | None
    collection: str = ""
    versions: Sequence[str] | None = None
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> str:
        """Working size and number of features, as text."""
        return f"{self.reader.settings.size} {self.reader.settings.features}"

    def features(
        self, positions: Sequence[int], display: _Display
    ) -> Iterator[LocalFeatures | None]:
        """Yield the features of images, in order; None for one that cannot be read."""
        names = [str(self.ids[position]) for position in positions]
        for name, result in read_features(self.reader, names, workers=self.workers):
            display.advance()
            if isinstance(result, str):
                self.failures[f"{self.reader.role}:{name}"] = result
            yield None if isinstance(result, str) else result

    def keys(self) -> list[bytes]:
        """Keys of the images in a coded index."""
        versions = self.versions or [self.collection] * len(self.ids)
        pairs = zip(self.ids.tolist(), versions, strict=True)
        return [image_key(self.settings, name, version) for name, version in pairs]


def _exact_index(references: _Source, keep: Path | None, display: _Display) -> ExactLocalIndex:
    """Open or build the exact index of references."""
    content = [f"{references.settings} {references.collection}", *references.ids.tolist()]
    key = hashlib.sha256("\n".join(content).encode()).hexdigest()
    index = ExactLocalIndex.open(keep, key=key) if keep else None
    if index is None:
        positions = range(len(references.ids))
        display.expect(len(positions))
        index = ExactLocalIndex.build(
            features or _NO_FEATURES for features in references.features(positions, display)
        )
        if keep and not references.failures:  # unreadable images may be readable next time
            with suppress(WriteError):  # a library may be read-only
                index.save(keep, key=key)
    return index


def _coded_index(references: _Source, keep: Path | None, display: _Display) -> FeatureIndex:
    """Bring the coded index of references up to date."""

    def read(positions: Sequence[int]) -> Iterator[LocalFeatures | None]:
        display.expect(len(positions))
        return references.features(positions, display)

    folder = keep.with_suffix(CODES) if keep else None
    return coded_local_index(references.keys(), read, folder=folder)


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
    if not isinstance(index, ExactLocalIndex):
        query = query.largest(_QUERY_FEATURES)
    return rank_by_votes(index, readings(query)[:count], k)


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


_NO_FEATURES = LocalFeatures(
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
