"""Extract and store local features of a library; retrieve candidate pairs by their votes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asl.app.library.cached_local_features import CachedLocalFeatures
from asl.app.library.image_store import ImageStore
from asl.app.library.sift_file import (
    SiftFile,
    earlier_key,
    pack_sift,
    sift_key,
    unpack_earlier,
    unpack_sift,
    voting_features,
)
from asl.app.library.thumbnails import ThumbnailFile
from asl.app.library.voters import (
    PROBES,
    READINGS,
    VOTING_FEATURES,
    KeptIndex,
    Voter,
    all_votes,
)
from asl.data.images import Pixels, decode_image
from asl.matching.align.prepare import prepare
from asl.matching.align.sift import SiftFeatures
from asl.matching.candidates.coded_local_index import CODES, coded_local_index, image_key
from asl.matching.candidates.exact_local_index import ExactLocalIndex
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.local_features import EXACT_REFERENCES, NO_FEATURES, read_features
from asl.matching.candidates.quantiser import load_quantiser
from asl.matching.values import Settings
from asl.storage import ReadError, atomic_binary, read_npz
from asl.types import F32, I64, AslError, Progress

CONTENTS_PER_BATCH = 256  # in one transaction, and in memory beside the index


@dataclass(frozen=True)
class Thumbnails:
    """Digest -> pixels of the thumbnail; can be sent to other processes."""

    file: ThumbnailFile

    def __call__(self, digest: str) -> Pixels:
        """Decode a thumbnail."""
        return decode_image(self.file(digest))


@dataclass(frozen=True)
class _Detector:
    """Digest -> SIFT features of the thumbnail; can be sent to other processes."""

    thumbnails: Thumbnails

    def __call__(self, digest: str) -> SiftFeatures | str:
        """Detect the features of a thumbnail; return the reason as a string on failure."""
        try:
            ready = prepare(self.thumbnails(digest), Settings())
        except (AslError, OSError) as error:
            return str(error)
        return SiftFeatures(ready.points, ready.scales, ready.angles, ready.descriptors)


@dataclass(frozen=True, eq=False)
class VotedPairs:
    """Candidate pairs of rows with the votes of local features.

    Attributes:
        first: int64 ``[P]`` query rows.
        second: int64 ``[P]`` reference rows.
        votes: float32 ``[P]``, above 0, higher = more shared local features.
    """

    first: I64
    second: I64
    votes: F32

    @classmethod
    def empty(cls) -> VotedPairs:
        """Return no pair."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


def extract_missing(
    store: ImageStore, path: Path, digests: Sequence[str], *, workers: int, progress: Progress
) -> None:
    """Extract and store the local features of contents that have none yet.

    Args:
        store: on disk.
        path: its file.
        digests: usable contents.
        workers: processes.
        progress: called with (contents done, contents to do).
    """
    key = sift_key(Settings())
    # Those of earlier stores lack positions: they vote, and are detected again for comparisons.
    missing = store.without_regions(_key(), store.without_regions(key, digests))
    cached = CachedLocalFeatures(key)
    left = cached.copy_to(store, missing)
    batch: list[tuple[str, bytes]] = []
    with closing(ThumbnailFile(path)) as file:
        results = read_features(_Detector(Thumbnails(file)), left, workers=workers)
        for done, (digest, features) in enumerate(results, start=1 + len(missing) - len(left)):
            # An unreadable thumbnail has no features; its comparison will name the reason.
            batch.append((digest, b"" if isinstance(features, str) else pack_sift(features)))
            if len(batch) >= CONTENTS_PER_BATCH:
                store.put_local_features(key, batch)
                cached.put(batch)
                batch = []
            progress(done, len(missing))
    store.put_local_features(key, batch)
    cached.put(batch)
    cached.tidy()


def retrieve_by_votes(
    store: ImageStore,
    path: Path,
    digests: Sequence[str],
    queries: I64,
    references: I64,
    *,
    k: int,
    workers: int,
    progress: Progress,
) -> VotedPairs:
    """Retrieve the k references that share most local features with each query, itself excluded.

    The result is cached in a file beside the store, for the same contents.

    Args:
        store: has the local features of all contents (:func:`extract_missing`).
        path: its file.
        digests: contents, by row.
        queries: int64 query rows.
        references: int64 reference rows.
        k: references of each query.
        workers: processes.
        progress: called with (queries done, queries to do).
    """
    if not len(queries) or not len(references):
        return VotedPairs.empty()
    sides = [" ".join(digests[row] for row in rows.tolist()) for rows in (queries, references)]
    kind = f"{k} {READINGS}"
    if len(references) > EXACT_REFERENCES:
        kind += f" {VOTING_FEATURES} {PROBES} {load_quantiser().id}"
    text = "\n".join([_key(), kind, *sides])
    key = hashlib.sha256(text.encode()).hexdigest()
    cache = path.with_name(f"{path.stem}-votes.npz")
    pairs = _cached(cache, key, digests)
    if pairs is None:
        # One more: a query finds itself first.
        voter = _voter(store, path, [digests[row] for row in references.tolist()], k + 1)
        pairs = _vote(voter, digests, queries, references, k=k, workers=workers, progress=progress)
        names = np.array(digests)
        with atomic_binary(cache, durable=False) as file:
            np.savez(
                file,
                key=np.array(key),
                first=names[pairs.first],
                second=names[pairs.second],
                votes=pairs.votes,
            )
    return pairs


def _cached(path: Path, key: str, digests: Sequence[str]) -> VotedPairs | None:
    """Read cached pairs; None if they have another key or the file is damaged."""
    try:
        cached = read_npz(path, remedy="delete it", names=("key", "first", "second", "votes"))
        if str(cached["key"]) != key:
            return None
        row = {digest: number for number, digest in enumerate(digests)}
        first = np.array([row[name] for name in cached["first"].tolist()], np.int64)
        second = np.array([row[name] for name in cached["second"].tolist()], np.int64)
        return VotedPairs(first, second, cached["votes"])
    except (ReadError, KeyError, ValueError):
        return None


def _voter(store: ImageStore, path: Path, references: Sequence[str], k: int) -> Voter:
    """Index the local features of references; a large index is kept beside the store."""
    file = SiftFile(path)
    if len(references) <= EXACT_REFERENCES:
        exact = ExactLocalIndex.build(_features(store, references))
        return Voter(file, k, exact, None)
    folder = path.with_name(f"{path.stem}-local{CODES}")
    keys = [image_key(_key(), digest) for digest in references]
    coded = coded_local_index(
        keys,
        lambda rows: _features(store, [references[row] for row in rows]),
        folder=folder,
    )
    return Voter(file, k, coded, KeptIndex.of(coded, folder, keys))


def _vote(
    voter: Voter,
    digests: Sequence[str],
    queries: I64,
    references: I64,
    *,
    k: int,
    workers: int,
    progress: Progress,
) -> VotedPairs:
    lists = []
    found = all_votes(voter, [digests[row] for row in queries.tolist()], workers=workers)
    for done, (row, (places, votes)) in enumerate(
        zip(queries.tolist(), found, strict=True), start=1
    ):
        is_other = references[places] != row
        nearest = references[places][is_other][:k]
        lists.append((np.full(len(nearest), row, np.int64), nearest, votes[is_other][:k]))
        progress(done, len(queries))
    first, second, votes = (np.concatenate(column) for column in zip(*lists, strict=True))
    return VotedPairs(first, second, votes)


def _features(store: ImageStore, digests: Sequence[str]) -> Iterator[LocalFeatures]:
    """Yield the local features of contents, in their order."""
    for start in range(0, len(digests), CONTENTS_PER_BATCH):
        batch = digests[start : start + CONTENTS_PER_BATCH]
        features = {
            digest: unpack_earlier(blob) for digest, blob in store.local_features(_key(), batch)
        }
        for digest, blob in store.local_features(sift_key(Settings()), batch):
            features[digest] = voting_features(unpack_sift(blob))
        yield from (features.get(digest, NO_FEATURES) for digest in batch)


def _key() -> str:
    return earlier_key(Settings())
