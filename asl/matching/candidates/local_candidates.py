"""Retrieve candidates by local features, to find copies that a global embedding misses.

References are indexed once, queries vote (:mod:`asl.matching.candidates.votes`); both are read in
this process or in several, with a cache on disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from asl.matching.candidates.coded_local_index import CODES, coded_local_index, image_key
from asl.matching.candidates.exact_local_index import ExactLocalIndex
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.local_features import SIFT, Role, read_features, votes_of_readings
from asl.matching.candidates.votes import FeatureIndex, joined_lists
from asl.matching.run.disk_cache import Cache
from asl.matching.run.workers import LoadImage
from asl.matching.values import Settings
from asl.notices import notice
from asl.shared_defaults import LOCAL_CANDIDATES
from asl.storage import WriteError
from asl.types import AslError, Progress, ScoredPairs, StrArray

ReadImage = Callable[[str], list[LocalFeatures] | str]


class FeatureKind(Protocol):
    """Kind of local features that vote, e.g. `SIFT` of the module ``local_features``."""

    @property
    def nothing(self) -> LocalFeatures:
        """Features of an image without any."""
        ...

    @property
    def exact_references(self) -> int | None:
        """References up to which they are indexed with one byte a component; None: always."""
        ...

    def identify(self, settings: Settings) -> str:
        """Name the kind of features and the settings that they depend on."""
        ...

    def reader(
        self, load: LoadImage, settings: Settings, role: Role, cache: Cache | None
    ) -> ReadImage:
        """Return what reads one image: one set of features of a reference, a query's readings."""
        ...

    def readings(self, found: Sequence[LocalFeatures]) -> list[LocalFeatures]:
        """Return the readings that vote, of those of a query that were read."""
        ...


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
    kind: FeatureKind = SIFT,
    k: int = LOCAL_CANDIDATES,
    settings: Settings | None = None,
    workers: int | None = None,
    cache: Path | None = None,
    collection: str = "",
    versions: Sequence[str] | None = None,
    keep: Path | None = None,
    progress: Progress | None = None,
) -> LocalCandidates:
    """Retrieve the references that share most local features of a kind with each query.

    Args:
        queries: query ids, ``[Q]``.
        references: reference ids, ``[R]``.
        load_query: query id -> uint8 ``[H, W, 3]`` RGB; an ``AslError`` or ``OSError`` is recorded
            as a failure of that image.
        load_reference: the same for references. Both must be picklable where ``workers`` is above
            1.
        kind: of the features.
        k: maximum number of references per query.
        settings: of the verifier that will compare the candidates.
        workers: number of processes; None for one per core where there are many images.
        cache: folder of prepared references, shared with ``verify_pairs``.
        collection: identifies the set of references in the cache and in the saved index.
        versions: version of each reference, e.g. a hash of its file's size and time, ``[R]``: a
            large index is brought up to date by them. None: ``collection`` is that of all.
        keep: file of the index of the references; reused where it was built from the same ids,
            collection and settings. It is not written where a reference could not be read or the
            folder is read-only. A coded index is in a folder of the same name with the suffix
            ``.codes``.
        progress: called with (images done, images to do).

    Returns:
        Up to ``k`` candidates of each query, most votes first, and the unreadable images.

    Raises:
        AslError: ``k`` below 1, or a loader that cannot be sent to other processes.
    """
    if k < 1:
        raise AslError(f"k: must be 1 or more, got {k}")
    settings = settings or Settings()
    prepared = None if cache is None else Cache(cache, settings, collection)
    source = _Source(
        references,
        "reference",
        kind.reader(load_reference, settings, "reference", prepared),
        kind.identify(settings),
        workers,
        collection,
        versions,
    )
    asked = _Source(
        queries,
        "query",
        kind.reader(load_query, settings, "query", None),
        kind.identify(settings),
        workers,
    )
    display = _Display(progress, len(queries))
    is_exact = kind.exact_references is None or len(references) <= kind.exact_references
    open_index = _exact_index if is_exact else _coded_index
    index = open_index(source, kind.nothing, keep, display)
    lists = [
        votes_of_readings(index, kind.readings(found or [kind.nothing]), k)
        for found in asked.features(range(len(queries)), display)
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
        role: of the images.
        read: reads one of them.
        identity: of the kind of features and its settings.
        workers: processes.
        collection: identifies the set of images.
        versions: of each image; None: ``collection``.
        failures: role and id of images that could not be read -> reason.
    """

    ids: StrArray
    role: Role
    read: ReadImage
    identity: str
    workers: int | None
    collection: str = ""
    versions: Sequence[str] | None = None
    failures: dict[str, str] = field(default_factory=dict)

    def features(
        self, positions: Sequence[int], display: _Display
    ) -> Iterator[list[LocalFeatures] | None]:
        """Yield the features of images, in order; None for one that cannot be read."""
        names = [str(self.ids[position]) for position in positions]
        for name, result in read_features(self.read, names, workers=self.workers):
            display.advance()
            if isinstance(result, str):
                self.failures[f"{self.role}:{name}"] = result
            yield None if isinstance(result, str) else result

    def keys(self) -> list[bytes]:
        """Keys of the images in a coded index."""
        versions = self.versions or [self.collection] * len(self.ids)
        pairs = zip(self.ids.tolist(), versions, strict=True)
        return [image_key(self.identity, name, version) for name, version in pairs]


def _exact_index(
    references: _Source, nothing: LocalFeatures, keep: Path | None, display: _Display
) -> FeatureIndex:
    """Open or build the exact index of references."""
    content = [f"{references.identity} {references.collection}", *references.ids.tolist()]
    key = hashlib.sha256("\n".join(content).encode()).hexdigest()
    index = ExactLocalIndex.open(keep, key=key) if keep else None
    if index is None:
        if keep and keep.exists():
            _tell_of_others(keep)
        positions = range(len(references.ids))
        display.expect(len(positions))
        index = ExactLocalIndex.build(
            found[0] if found else nothing for found in references.features(positions, display)
        )
        if keep and not references.failures:  # unreadable images may be readable next time
            with suppress(WriteError):  # a library may be read-only
                index.save(keep, key=key)
    return index


def _coded_index(
    references: _Source, nothing: LocalFeatures, keep: Path | None, display: _Display
) -> FeatureIndex:
    """Bring the coded index of references up to date."""

    def read(positions: Sequence[int]) -> Iterator[LocalFeatures | None]:
        display.expect(len(positions))
        found = references.features(positions, display)
        return (features[0] if features else None for features in found)

    folder = keep.with_suffix(CODES) if keep else None

    def replaced() -> None:
        if keep:
            _tell_of_others(keep)

    return coded_local_index(references.keys(), read, folder=folder, replaced=replaced)


def _tell_of_others(keep: Path) -> None:
    notice(
        f"{keep.parent}: its local features are of other references, or of images that have "
        "changed, and are built again; if searches of different references take turns here, give "
        "each a folder of its own (local_index=)"
    )
