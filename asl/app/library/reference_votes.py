"""Local features of the references of a library: index them, and vote with those of a query."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from asl.app.library.image_store import ImageStore
from asl.app.library.records import Name
from asl.data.images import decode_image
from asl.matching.align.prepare import prepare
from asl.matching.candidates.coded_local_index import CODES, image_key
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.live_local_index import LiveLocalIndex
from asl.matching.candidates.local_features import SIFT, local_features
from asl.matching.candidates.piece_files import read_pieces
from asl.matching.candidates.quantiser import load_quantiser
from asl.matching.values import Settings
from asl.types import AslError, Progress

_IDENTITY = SIFT.identify(Settings())  # of the features, in the keys of their index
CONTENTS_AT_ONCE = 128  # thumbnails and features in memory


class ReferenceVotes:
    """Names by the local features of their contents; one writer at a time, any number of readers.

    Features are those of the thumbnails, at which pairs are compared. An index is beside the store
    (``library-local.codes``); what it lacks is read from the store again.
    """

    def __init__(self, store: ImageStore) -> None:
        """Open the index beside a store, or begin one."""
        self._store = store
        self._index = LiveLocalIndex(None if store.path is None else index_folder(store.path))
        self._names: dict[bytes, tuple[str, ...]] = {}

    def open(self, names: Sequence[Name], *, progress: Progress | None = None) -> None:
        """Name the contents of the index, and read those that it lacks.

        Args:
            names: of all references; others are forgotten.
            progress: called with (contents read, contents to read).
        """
        digests = {_key(name.digest): name.digest for name in names}
        keys = list(digests)
        lacking = [keys[position] for position in self._index.keep(keys)]
        for start in range(0, len(lacking), CONTENTS_AT_ONCE):
            batch = lacking[start : start + CONTENTS_AT_ONCE]
            self._read([digests[key] for key in batch])
            if progress:
                progress(start + len(batch), len(lacking))
        self._add_names(names)

    def add(self, names: Sequence[Name]) -> None:
        """Add names, whose contents are read where the index lacks them."""
        fresh = {name.digest for name in names if _key(name.digest) not in self._names}
        digests = sorted(fresh)
        for start in range(0, len(digests), CONTENTS_AT_ONCE):
            self._read(digests[start : start + CONTENTS_AT_ONCE])
        self._add_names(names)

    def add_features(self, names: Sequence[Name], features: Sequence[LocalFeatures]) -> None:
        """Add names of new contents, whose local features are known, each once."""
        self._index.add([_key(name.digest) for name in names], features)
        self._add_names(names)

    def _add_names(self, names: Sequence[Name]) -> None:
        for name in names:
            key = _key(name.digest)
            self._names[key] = (*self._names.get(key, ()), name.name)

    def remove(self, names: Sequence[Name]) -> None:
        """Remove names that were added; contents without one leave the index."""
        for name in names:
            key = _key(name.digest)
            others = tuple(other for other in self._names[key] if other != name.name)
            if others:
                self._names[key] = others
            else:
                del self._names[key]
        gone = {_key(name.digest) for name in names} - self._names.keys()
        if gone:
            self._index.remove(list(gone))

    def nearest(self, query: LocalFeatures, k: int) -> list[str]:
        """Return the names of the k contents that share most features with a query, most first."""
        keys = self._index.vote(query, k)
        return [name for key in keys for name in self._names.get(key, ())]

    def check(self) -> None:
        """Compare the index beside the store with its checksums.

        Raises:
            ReadError: a file is damaged.
        """
        if self._store.path is not None:
            read_pieces(index_folder(self._store.path), load_quantiser(), check_files=True)

    def copy_to(self, store: Path) -> None:
        """Write the index beside another store."""
        self._index.copy_to(index_folder(store))

    def close(self) -> None:
        """Write what is still in memory."""
        self._index.close()

    def _read(self, digests: Sequence[str]) -> None:
        """Extract and index the features of contents; one without a thumbnail has none."""
        with ThreadPoolExecutor(min(len(digests), os.cpu_count() or 1)) as pool:
            features = list(pool.map(self._extract, digests))
        self._index.add([_key(digest) for digest in digests], features)

    def _extract(self, digest: str) -> LocalFeatures:
        try:
            return local_features(prepare(decode_image(self._store.thumbnail(digest)), Settings()))
        except AslError:  # its comparison will name the reason
            none = np.empty(0, np.float32)
            return LocalFeatures(none, none, np.empty((0, 128), np.uint8))


def index_folder(store: Path) -> Path:
    """Return the folder of the local features of a store's contents."""
    return store.with_name(f"{store.stem}-local{CODES}")


def _key(digest: str) -> bytes:
    return image_key(_IDENTITY, digest)
