"""Look at pairs of a store at a glance, in this process or in several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import cv2
from cachetools import LRUCache

from asl.app.library.sift_file import SiftFile
from asl.app.library.thumbnails import ThumbnailFile
from asl.app.pairs.pair_verifier import DigestPair, verifier_id
from asl.data.images import decode_image
from asl.matching.align.prepare import Prepared, working_image
from asl.matching.evidence.glance import Glance, GlancedPicture, glance
from asl.matching.values import Settings
from asl.parallel import spawned_map
from asl.types import AslError

GLANCE_VERSION = 1  # raised when glances of earlier versions must not be reused
MANY_AGREEING = 15  # local features from which a pair is compared without a look at its pixels
LEAST_ALIGNED = 0.3  # agreement by local features from which it is compared
LEAST_DIRECT = 0.5  # agreement of frame on frame from which it is compared
_CACHED_IMAGES = 64  # some 1 MB an image
_PAIRS_PER_BLOCK = 96  # pairs sent to a process at a time


def glance_id() -> str:
    """Identify the look, for cached ones."""
    return f"{verifier_id()}-glance-{GLANCE_VERSION}"


def is_plainly_different(seen: Glance) -> bool:
    """Tell that a comparison would not find a copy: every cue speaks against it."""
    return (
        seen.agreeing < MANY_AGREEING
        and seen.aligned < LEAST_ALIGNED
        and seen.direct < LEAST_DIRECT
    )


def pair_glances(
    pairs: Sequence[DigestPair], *, store: Path, workers: int
) -> Iterator[Glance | None]:
    """Look at pairs, in the order given.

    Args:
        pairs: (first, second) digests; neighbours should share the first one.
        store: SQLite file that holds the thumbnails and SIFT features.
        workers: processes; 0 and 1 stay in this one.

    Yields:
        The look; None where an image cannot be read or has no features: nothing is known then.
    """
    blocks = [
        list(pairs[start : start + _PAIRS_PER_BLOCK])
        for start in range(0, len(pairs), _PAIRS_PER_BLOCK)
    ]
    if workers <= 1 or len(blocks) <= 1:
        with closing(ThumbnailFile(store)) as thumbnails, closing(SiftFile(store)) as sift:
            looker = _Looker(thumbnails, sift)
            for block in blocks:
                yield from looker(block)
        return
    looker = _Looker(ThumbnailFile(store), SiftFile(store))
    for seen in spawned_map(
        looker, blocks, processes=workers, ahead=8, what="the thumbnails and local features"
    ):
        yield from seen


class _Looker:
    """Look at blocks of pairs; a pickled copy reads the same store."""

    def __init__(self, thumbnails: ThumbnailFile, sift: SiftFile) -> None:
        self._thumbnails, self._sift = thumbnails, sift
        self._settings = Settings()
        self._ready: LRUCache[str, GlancedPicture | None] = LRUCache(_CACHED_IMAGES)

    def __reduce__(self) -> tuple[type[_Looker], tuple[ThumbnailFile, SiftFile]]:
        return type(self), (self._thumbnails, self._sift)

    def __call__(self, pairs: Sequence[DigestPair]) -> list[Glance | None]:
        return [self._look(*pair) for pair in pairs]

    def _look(self, first: str, second: str) -> Glance | None:
        try:
            one, other = self._picture(first), self._picture(second)
            if one is None or other is None:
                return None
            return glance(one, other, self._settings)
        except (AslError, OSError, cv2.error):  # its comparison will name the reason
            return None

    def _picture(self, digest: str) -> GlancedPicture | None:
        if digest not in self._ready:
            stored = self._sift(digest, self._settings)
            if stored is None or not len(stored.points):
                self._ready[digest] = None
            else:
                image = working_image(decode_image(self._thumbnails(digest)), self._settings.size)
                self._ready[digest] = GlancedPicture(Prepared(image, *stored))
        return self._ready[digest]
