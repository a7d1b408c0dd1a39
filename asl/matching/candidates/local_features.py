"""Retrieve candidates by local features, to find copies that a global embedding misses.

References are indexed once, queries vote (:mod:`asl.matching.candidates.votes`); both are prepared
in this process or in several, with a cache on disk.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from asl.matching.align.prepare import Prepared, prepare
from asl.matching.align.sift import (
    mirrored_angles,
    mirrored_descriptors,
    negative_angles,
    negative_descriptors,
)
from asl.matching.candidates.votes import LocalFeatures, LocalIndex
from asl.matching.run.disk_cache import Cache
from asl.matching.run.workers import LoadImage
from asl.matching.values import Settings
from asl.parallel import spawned_map
from asl.shared_defaults import LOCAL_CANDIDATES
from asl.storage import WriteError
from asl.types import AslError, Progress, ScoredPairs, StrArray

Role = Literal["query", "reference"]
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
        keep: file of the index of the references; reused where it was built from the same ids,
            collection and settings. It is not written where a reference could not be read or the
            folder is read-only.
        progress: called with (images done, images to do).

    Returns:
        Up to ``k`` candidates of each query, most votes first, and the unreadable images.

    Raises:
        AslError: ``k`` below 1, or a loader that cannot be sent to other processes.
    """
    if k < 1:
        raise AslError(f"k: must be 1 or more, got {k}")
    settings = settings or Settings()
    disk_cache = None if cache is None else Cache(cache, settings, collection)
    failures: dict[str, str] = {}
    content = [f"{settings.size} {settings.features} {collection}", *references.tolist()]
    key = hashlib.sha256("\n".join(content).encode()).hexdigest()
    index = LocalIndex.open(keep, key=key) if keep else None
    images_to_index = 0 if index else len(references)
    total = images_to_index + len(queries)

    def features(
        role: Role, ids: StrArray, load: LoadImage, already_done: int
    ) -> Iterator[LocalFeatures]:
        reader = Reader(load, settings, role, disk_cache if role == "reference" else None)
        for done, (name, result) in enumerate(
            read_features(reader, ids.tolist(), workers=workers), start=already_done + 1
        ):
            if isinstance(result, str):
                failures[f"{role}:{name}"] = result
            if progress:
                progress(done, total)
            yield _NO_FEATURES if isinstance(result, str) else result

    if index is None:
        index = LocalIndex.build(features("reference", references, load_reference, 0))
        if keep and not failures:  # an image that cannot be read now may be readable next time
            with suppress(WriteError):  # a library may be read-only
                index.save(keep, key=key)
    lists = [
        index.votes(readings(query), k)
        for query in features("query", queries, load_query, images_to_index)
    ]
    counts = [len(rows) for rows, _ in lists]
    pairs = ScoredPairs(
        queries,
        references,
        np.repeat(np.arange(len(queries)), counts),
        np.concatenate([np.empty(0, np.int64), *(rows for rows, _ in lists)]),
        np.concatenate([np.empty(0, np.float32), *(votes for _, votes in lists)]),
    )
    return LocalCandidates(pairs, failures)


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
    reader: Reader, names: Sequence[str], *, workers: int | None = None
) -> Iterator[tuple[str, LocalFeatures | str]]:
    """Read the local features of images, in this process or in several.

    Args:
        reader: reads those of one image; must be picklable where ``workers`` is above 1.
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
