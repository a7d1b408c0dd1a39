"""Candidates for the verifier from local features: what a whole-image embedding cannot find is found by its details."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from asl.matching.align.prepare import MIRROR_ORDER, NEGATIVE_ORDER, Prepared, prepare
from asl.matching.candidates.votes import LocalFeatures, LocalIndex
from asl.matching.run.disk_cache import Cache
from asl.matching.run.workers import LoadImage
from asl.matching.values import Settings
from asl.parallel import spawned_map
from asl.storage import WriteError
from asl.types import AslError, ScoredPairs, StrArray

Progress = Callable[[int, int], None]
Role = Literal["query", "reference"]
_IMAGES = 400  # for which another process pays
_CHUNK = 8  # images that are sent to a process together
_AHEAD = 8  # chunks in the works for each process


@dataclass(frozen=True, eq=False)
class LocalCandidates:
    """What local features propose.

    Attributes:
        pairs: the references with most votes of every query; scores are votes, above 0.
        failures: ``query:ID`` or ``reference:ID`` -> why the image could not be read.
    """

    pairs: ScoredPairs
    failures: Mapping[str, str]


def local_candidates(
    queries: StrArray,
    references: StrArray,
    *,
    load_query: LoadImage,
    load_reference: LoadImage,
    k: int = 3,
    settings: Settings | None = None,
    workers: int | None = None,
    cache: Path | None = None,
    collection: str = "",
    keep: Path | None = None,
    progress: Progress | None = None,
) -> LocalCandidates:
    """The references that share most details with each query; the mirrored query and its negative vote, too.

    Args:
        queries: ids.
        references: ids.
        load_query: query id -> uint8 ``[H, W, 3]`` RGB; an ``AslError`` or ``OSError`` is a failure
            of that image.
        load_reference: the same for references. Both must be picklable where ``workers`` is above
            1.
        k: most references of a query.
        settings: of the verifier that will look at them.
        workers: processes that find features; None is one a core where there are many images.
        cache: folder that keeps what is found in references (the same as of ``verify_pairs``).
        collection: which set of references the cache and the kept index are about.
        keep: file that keeps the index of the references; used as it is when it is of the same ids,
            collection and settings. It is not written where a reference could not be read, nor
            where nothing may be written.
        progress: called with (images done, images to do).

    Raises:
        AslError: ``k`` below 1, or a loader that cannot be sent to other processes.
    """
    if k < 1:
        raise AslError(f"k: must be 1 or more, got {k}")
    settings = settings or Settings()
    kept = None if cache is None else Cache(cache, settings, collection)
    failures: dict[str, str] = {}
    of = "\n".join([f"{settings.size} {settings.features} {collection}", *references.tolist()])
    key = hashlib.sha256(of.encode()).hexdigest()
    index = LocalIndex.open(keep, key=key) if keep else None
    before = 0 if index else len(references)
    total = before + len(queries)

    def features(
        role: Role, ids: StrArray, load: LoadImage, before: int
    ) -> Iterator[LocalFeatures]:
        reader = Reader(load, settings, role, kept if role == "reference" else None)
        for done, (name, found) in enumerate(
            read_features(reader, ids.tolist(), workers=workers), start=before + 1
        ):
            if isinstance(found, str):
                failures[f"{role}:{name}"] = found
            if progress:
                progress(done, total)
            yield _NOTHING if isinstance(found, str) else found

    if index is None:
        index = LocalIndex.build(features("reference", references, load_reference, 0))
        if keep and not failures:  # what cannot be read now may be readable the next time
            with suppress(WriteError):  # a library may be read-only
                index.save(keep, key=key)
    lists = [
        index.votes(readings(found), k) for found in features("query", queries, load_query, before)
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
    """What the index needs of a prepared image."""
    return LocalFeatures(image.scales, image.angles, image.descriptors)


def readings(features: LocalFeatures) -> list[LocalFeatures]:
    """A query as it is, mirrored, and as a negative: its features permuted instead of found again."""
    scales, angles, descriptors = features.scales, features.angles, features.descriptors
    return [
        features,
        LocalFeatures(
            scales, (180.0 - angles) % 360.0, np.ascontiguousarray(descriptors[:, MIRROR_ORDER])
        ),
        LocalFeatures(
            scales, (angles + 180.0) % 360.0, np.ascontiguousarray(descriptors[:, NEGATIVE_ORDER])
        ),
    ]


_NOTHING = LocalFeatures(
    np.empty(0, np.float32), np.empty(0, np.float32), np.empty((0, 128), np.uint8)
)


@dataclass(frozen=True)
class Reader:
    """Finds the local features of images of one role, or remembers them.

    Attributes:
        load: name -> uint8 ``[H, W, 3]`` RGB; an ``AslError`` or ``OSError`` is a failure of that
            image.
        settings: working size and number of features.
        role: part of the key of the cache.
        cache: remembers prepared images; None: nothing is remembered.
    """

    load: LoadImage
    settings: Settings = field(default_factory=Settings)
    role: Role = "reference"
    cache: Cache | None = None

    def __call__(self, name: str) -> LocalFeatures | str:
        """The features of one image, or why there are none."""
        known = self.cache.get(self.role, name) if self.cache else None
        if known is None:
            try:
                known = prepare(self.load(name), self.settings)
            except (AslError, OSError) as error:
                return str(error)
            if self.cache:
                self.cache.put(self.role, name, known)
        return local_features(known)


def read_features(
    reader: Reader, names: Sequence[str], *, workers: int | None = None
) -> Iterator[tuple[str, LocalFeatures | str]]:
    """Find the local features of images, in this process or in several.

    Args:
        reader: finds those of one image; must be picklable where ``workers`` is above 1.
        names: of the images.
        workers: processes; None is one a core where there are many images.

    Yields:
        (name, its features or why there are none), in order.

    Raises:
        AslError: a loader that cannot be sent to other processes.
    """
    if workers is None:  # a process takes a second or two to start
        workers = min(os.cpu_count() or 1, 1 + len(names) // _IMAGES)
    if workers <= 1:
        yield from ((name, reader(name)) for name in names)
        return
    read = spawned_map(reader, names, processes=workers, chunk=_CHUNK, ahead=_AHEAD)
    yield from zip(names, read, strict=True)
