"""Local features of a store's images: found once, kept, and voted with, so that parts of photos find their photo."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asl.app.library.image_store import ImageStore
from asl.app.library.thumbnails import PictureFile
from asl.data.images import Pixels, decode_image
from asl.matching.candidates.local_features import Reader, read_features, readings
from asl.matching.candidates.votes import LocalFeatures, LocalIndex
from asl.matching.values import Settings
from asl.storage import ReadError, atomic_binary, read_npz
from asl.types import F32, I64

_TOGETHER = 256  # contents in one transaction, and in memory beside the index
_WIDTH = 128 + 4 + 4  # bytes of a feature: descriptor, size, angle
# as it is and mirrored; a negative among one's own photos is rare, and costs half as much again
_READINGS = 2
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Pictures:
    """Content -> its small picture as pixels; goes to other processes, too."""

    file: PictureFile

    def __call__(self, digest: str) -> Pixels:
        """Decode it."""
        return decode_image(self.file(digest))


@dataclass(frozen=True, eq=False)
class Voted:
    """Pairs of rows that local features propose.

    Attributes:
        first: int64 ``[P]`` rows that were asked about.
        second: int64 ``[P]`` rows that they vote for.
        votes: float32 ``[P]``, above 0.
    """

    first: I64
    second: I64
    votes: F32

    @classmethod
    def nothing(cls) -> Voted:
        """No pair."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


def remember(
    store: ImageStore, path: Path, digests: Sequence[str], *, workers: int, progress: Progress
) -> None:
    """Find the local features of contents that the store has none of yet, and keep them.

    Args:
        store: on disk.
        path: its file.
        digests: usable contents.
        workers: processes.
        progress: called with (contents done, contents to do).
    """
    wanted = store.without_parts(_key(), digests)
    waiting: list[tuple[str, bytes]] = []
    with closing(PictureFile(path)) as file:
        read = read_features(Reader(Pictures(file)), wanted, workers=workers)
        for done, (digest, found) in enumerate(read, start=1):
            # A picture that cannot be read any more has no details; comparing it will say why.
            waiting.append((digest, b"" if isinstance(found, str) else _packed(found)))
            if len(waiting) >= _TOGETHER:
                store.put_local(_key(), waiting)
                waiting = []
            progress(done, len(wanted))
    store.put_local(_key(), waiting)


def propose(
    store: ImageStore,
    path: Path,
    digests: Sequence[str],
    queries: I64,
    references: I64,
    *,
    k: int,
    progress: Progress,
) -> Voted:
    """The references that share most details with each query, itself left out.

    What was proposed for the same contents before is kept in a file beside the store.

    Args:
        store: has the local features of all contents (:func:`remember`).
        path: its file.
        digests: contents, by row.
        queries: int64 rows that are asked about.
        references: int64 rows among which copies are looked for.
        k: references of each query.
        progress: called with (queries done, queries to do).
    """
    if not len(queries) or not len(references):
        return Voted.nothing()
    sides = [" ".join(digests[row] for row in rows.tolist()) for rows in (queries, references)]
    key = hashlib.sha256("\n".join([_key(), f"{k} {_READINGS}", *sides]).encode()).hexdigest()
    keep = path.with_name(f"{path.stem}-votes.npz")
    known = _kept(keep, key, digests)
    if known is None:
        known = _asked(store, digests, queries, references, k=k, progress=progress)
        with atomic_binary(keep, durable=False) as file:
            names = np.array(digests)
            np.savez(
                file,
                key=np.array(key),
                first=names[known.first],
                second=names[known.second],
                votes=known.votes,
            )
    return known


def _kept(path: Path, key: str, digests: Sequence[str]) -> Voted | None:
    """What was proposed under that key; None where it was something else, or the file is damaged."""
    try:
        kept = read_npz(path, remedy="delete it", names=("key", "first", "second", "votes"))
        if str(kept["key"]) != key:
            return None
        row = {digest: number for number, digest in enumerate(digests)}
        first, second = (
            [row[name] for name in kept[side].tolist()] for side in ("first", "second")
        )
        return Voted(np.array(first, np.int64), np.array(second, np.int64), kept["votes"])
    except (ReadError, KeyError, ValueError):
        return None


def _asked(
    store: ImageStore,
    digests: Sequence[str],
    queries: I64,
    references: I64,
    *,
    k: int,
    progress: Progress,
) -> Voted:
    index = LocalIndex.build(_features(store, [digests[row] for row in references.tolist()]))
    lists = []
    asked = _features(store, [digests[row] for row in queries.tolist()])
    for done, (row, features) in enumerate(zip(queries.tolist(), asked, strict=True), start=1):
        found, votes = index.votes(readings(features)[:_READINGS], k + 1)
        others = references[found] != row
        near = references[found][others][:k]
        lists.append((np.full(len(near), row, np.int64), near, votes[others][:k]))
        progress(done, len(queries))
    first, second, votes = (np.concatenate(column) for column in zip(*lists, strict=True))
    return Voted(first, second, votes)


def _features(store: ImageStore, digests: Sequence[str]) -> Iterator[LocalFeatures]:
    """Those of contents, in their order."""
    for start in range(0, len(digests), _TOGETHER):
        part = digests[start : start + _TOGETHER]
        found = dict(store.local(_key(), part))
        yield from (_unpacked(found.get(digest, b"")) for digest in part)


def _key() -> str:
    settings = Settings()
    return f"local-{settings.size}-{settings.features}"


def _packed(features: LocalFeatures) -> bytes:
    frames = np.concatenate([features.scales, features.angles]).astype(np.float32)
    return frames.tobytes() + features.descriptors.tobytes()


def _unpacked(blob: bytes) -> LocalFeatures:
    count = len(blob) // _WIDTH
    frames = np.frombuffer(blob, np.float32, 2 * count)
    descriptors = np.frombuffer(blob, np.uint8, 128 * count, 8 * count).reshape(count, 128)
    return LocalFeatures(frames[:count], frames[count:], descriptors)
