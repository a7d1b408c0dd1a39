"""Count the local features that agree in pairs of a store, in this process or in several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from cachetools import LRUCache

from asl.app.library.sift_file import SiftFile
from asl.app.pairs.pair_verifier import DigestPair, verifier_id
from asl.matching.align.agreeing_features import LEAST_AGREEING, agreeing_features
from asl.matching.align.prepare import Prepared
from asl.matching.values import Settings
from asl.parallel import spawned_map

AGREEMENT_VERSION = 2  # raised when counts of earlier versions must not be reused
_CACHED_IMAGES = 64  # whose features are ready to be matched, some 1 MB an image
_PAIRS_PER_BLOCK = 192  # pairs sent to a process at a time
_NO_PIXELS = np.zeros((1, 1, 3), np.uint8)


def agreement_id() -> str:
    """Identify the test, for cached counts."""
    return f"{verifier_id()}-agreement-{AGREEMENT_VERSION}"


def agreement_counts(
    pairs: Sequence[DigestPair], *, store: Path, workers: int
) -> Iterator[int | None]:
    """Count the agreeing features of pairs, in the order given.

    Args:
        pairs: (first, second) digests; neighbours should share the first one.
        store: SQLite file that holds the SIFT features.
        workers: processes; 0 and 1 stay in this one.

    Yields:
        The count (:func:`asl.matching.align.agreeing_features.agreeing_features`); None where an
        image has too few features to tell.
    """
    blocks = [
        list(pairs[start : start + _PAIRS_PER_BLOCK])
        for start in range(0, len(pairs), _PAIRS_PER_BLOCK)
    ]
    if workers <= 1 or len(blocks) <= 1:
        with closing(SiftFile(store)) as file:
            counter = _Counter(file)
            for block in blocks:
                yield from counter(block)
        return
    for counts in spawned_map(
        _Counter(SiftFile(store)), blocks, processes=workers, ahead=8, what="the local features"
    ):
        yield from counts


class _Counter:
    """Count the agreeing features of blocks of pairs; a pickled copy reads the same store."""

    def __init__(self, file: SiftFile) -> None:
        self._file = file
        self._settings = Settings()
        self._ready: LRUCache[str, Prepared | None] = LRUCache(_CACHED_IMAGES)

    def __reduce__(self) -> tuple[type[_Counter], tuple[SiftFile]]:
        return type(self), (self._file,)

    def __call__(self, pairs: Sequence[DigestPair]) -> list[int | None]:
        return [self._count(*pair) for pair in pairs]

    def _count(self, first: str, second: str) -> int | None:
        one, other = self._features(first), self._features(second)
        if one is None or other is None:
            return None
        return agreeing_features(one, other, self._settings)

    def _features(self, digest: str) -> Prepared | None:
        """Return the features of a content; None where they are too few to agree."""
        if digest not in self._ready:
            stored = self._file(digest, self._settings)
            few = stored is None or len(stored.points) < LEAST_AGREEING
            # The test needs no pixels; of mirrored features only their differences count.
            self._ready[digest] = None if few or stored is None else Prepared(_NO_PIXELS, *stored)
        return self._ready[digest]
