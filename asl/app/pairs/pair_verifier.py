"""Verify pairs of thumbnails in both directions, in this process or in several."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from asl.app.library.sift_file import SiftFile
from asl.app.library.thumbnails import ThumbnailFile
from asl.app.pairs.edits_seen import align_pair, likely_edits
from asl.app.pairs.framed import is_framed
from asl.app.pairs.overlaid import overlaid
from asl.app.pairs.pair_verdict import SAME_FILE, SAME_THUMBNAIL, Outline, PairVerdict
from asl.data.images import decode_image
from asl.matching import Verdict, Verifier
from asl.matching.align.agreeing_features import agreeing_features
from asl.matching.align.prepare import Prepared, working_image
from asl.matching.align.sift import SiftFeatures
from asl.matching.align.xfeat import LearnedFeatures
from asl.matching.values import Evidence, Settings
from asl.parallel import spawned_map
from asl.types import F32, U8, AslError

PACKED_CACHE_IMAGES = 2500  # JPEG and local features, about 0.2 MB an image
# Of pairs ordered so that neighbours share images; of 9,600 pairs of a scan the same .83 images a
# pair were prepared with 500 as with 2,500.
ORDERED_CACHE_IMAGES = 600
PREPARED_CACHE_IMAGES = 32  # decoded and ready to compare, almost 1 MB an image
PAIRS_PER_BLOCK = 192  # pairs sent to a worker process at a time, at most
_BLOCKS = 20  # that each process gets at least: progress comes block by block
_LEAST_BLOCK = 16  # pairs
# Below every threshold: without structure the verifier's probability means nothing.
UNSEEN_PROBABILITY = 0.01
VERDICT_VERSION = 12  # raised when verdicts of earlier versions must not be reused
# Measured and predicted probability below which a pair is not verified in its second direction.
HOPELESS_PROBABILITY = 0.02
# Features that agree, from which an alignment is not there by chance: the other direction finds it,
# too.
_CERTAIN_FEATURES = 8
Thumbnail = Callable[[str], bytes]
StoredSift = Callable[[str, Settings], SiftFeatures | None]
DigestPair = tuple[str, str]


@lru_cache(maxsize=1)
def verifier_id() -> str:
    """Identify the packaged verifier and its settings, for cached verdicts."""
    verifier = Verifier()
    models = verifier.model.to_json(), verifier.moments.to_json()
    text = f"{VERDICT_VERSION}|{verifier.settings}|{'|'.join(models)}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class _Packed:
    """Expensive parts of a prepared image; the pixels are decoded from the JPEG again."""

    thumbnail: bytes
    points: F32
    scales: F32
    angles: F32
    descriptors: U8
    learned_points: F32 | None = None
    learned_descriptors: npt.NDArray[np.float16] | None = None

    @classmethod
    def of(cls, thumbnail: bytes, ready: Prepared) -> _Packed:
        packed = cls(thumbnail, ready.points, ready.scales, ready.angles, ready.descriptors)
        if ready.stored is None:
            return packed
        points, descriptors = ready.stored
        half = descriptors.astype(np.float16)
        return replace(packed, learned_points=points, learned_descriptors=half)

    def unpack(self, size: int) -> Prepared:
        image = working_image(decode_image(self.thumbnail), size)
        learned = None
        if self.learned_points is not None and self.learned_descriptors is not None:
            descriptors = self.learned_descriptors.astype(np.float32)
            learned = LearnedFeatures(self.learned_points, descriptors)
        return Prepared(image, self.points, self.scales, self.angles, self.descriptors, learned)


class PairVerifier:
    """Verify pairs in this process; safe to use from several threads.

    The local features of recently used images are cached.
    """

    def __init__(
        self,
        thumbnail: Thumbnail,
        *,
        sift: StoredSift | None = None,
        verifier: Verifier | None = None,
        cached: int = PACKED_CACHE_IMAGES,
    ) -> None:
        """Set the source of the images.

        Args:
            thumbnail: returns the JPEG of a digest.
            sift: returns the features of that JPEG where they were detected before, else None;
                None: they are always detected.
            verifier: None for the packaged one.
            cached: images whose local features are kept.
        """
        self._thumbnail, self._sift = thumbnail, sift
        self._verifier = verifier or Verifier()
        self._lock = threading.Lock()
        self._prepared: LRUCache[str, Prepared] = LRUCache(PREPARED_CACHE_IMAGES)
        self._packed: LRUCache[str, _Packed] = LRUCache(cached)

    def verify(self, first: str, second: str) -> PairVerdict:
        """Verify two images of the store, given by digest."""
        if first == second:
            return SAME_FILE
        return verify_prepared(self.prepared(first), self.prepared(second), self._verifier)

    def verify_query(self, first: Prepared, second: str) -> PairVerdict:
        """Verify a prepared image that is not in the store against a digest that is."""
        return verify_prepared(first, self.prepared(second), self._verifier)

    def agreeing(self, first: Prepared, second: str) -> int | None:
        """Count the features of a prepared image that agree with those of a digest.

        Returns:
            The count (:func:`asl.matching.align.agreeing_features.agreeing_features`); None where
            an image has too few features to tell.
        """
        other = self.prepared(second, learned=False)
        return agreeing_features(first, other, self._verifier.settings)

    def prepared(self, digest: str, *, learned: bool = True) -> Prepared:
        """Return the prepared image of a digest, from the caches where possible.

        Args:
            digest: of the image.
            learned: with its learned features; False leaves them to who asks for them first.
        """
        with self._lock:
            ready, packed = self._prepared.get(digest), self._packed.get(digest)
        thumbnail = packed.thumbnail if packed is not None else b""
        if ready is None and packed is not None:
            ready = packed.unpack(self._verifier.settings.size)
        if ready is None:
            thumbnail = self._thumbnail(digest)
            ready = self._from_store(digest, thumbnail) or self.prepare(thumbnail)
            packed = None
        if learned and ready.stored is None:
            ready = ready.with_learned()
            packed = None
        if packed is None and thumbnail:
            packed = _Packed.of(thumbnail, ready)
        with self._lock:
            self._prepared[digest] = ready
            if packed is not None:
                self._packed[digest] = packed
        return ready

    def _from_store(self, digest: str, thumbnail: bytes) -> Prepared | None:
        """Prepare a thumbnail whose features were stored; None where they were not."""
        settings = self._verifier.settings
        stored = self._sift(digest, settings) if self._sift else None
        if stored is None:
            return None
        return Prepared(working_image(decode_image(thumbnail), settings.size), *stored)

    def prepare(self, thumbnail: bytes) -> Prepared:
        """Extract the local features of a thumbnail (JPEG bytes)."""
        return self._verifier.prepare(decode_image(thumbnail))


def verify_prepared(first: Prepared, second: Prepared, verifier: Verifier) -> PairVerdict:
    """Verify a pair in both directions; see :func:`both_directions`."""
    # Without a single local feature they may be two blank pages.
    if len(first.points) and np.array_equal(first.image, second.image):
        return SAME_THUMBNAIL
    return both_directions(verifier.verify_prepared(first, second), first, second, verifier)


def both_directions(
    forward: Verdict, first: Prepared, second: Prepared, verifier: Verifier
) -> PairVerdict:
    """Complete the verdict on first -> second by the other direction.

    The second direction is verified only where the first one aligns; where neither has a chance by
    the evidence of the first, its probability is the predicted one.

    Args:
        forward: verdict on first -> second.
        first: prepared image.
        second: prepared image.
        verifier: that gave ``forward``.
    """
    if not forward.evidence.aligned:
        probability = _probability(forward)
        return PairVerdict(probability, probability, reason=forward.reason, seen=forward.seen)
    if (hopeless := _hopeless(forward, verifier)) is not None:
        return hopeless
    backward = verifier.verify_prepared(second, first)
    is_backward = backward.probability > forward.probability
    best, copy, original = (backward, second, first) if is_backward else (forward, first, second)
    other = forward if is_backward else backward
    edits, greyed = likely_edits(best, copy, original)
    other_edits, _ = likely_edits(other, original, copy)
    verdict = replace(
        _one_way(best, backward=_probability(other)),
        edits=edits,
        edits_forward=edits,
        edits_backward=other_edits,
        greyed=greyed,
        overlaid=_overlaid(best, copy, original),
        framed=is_framed(best.evidence) - is_framed(other.evidence),
        same_moment=round(min(forward.same_moment, backward.same_moment), 6),
    )
    return verdict.flipped() if is_backward else verdict


def _overlaid(verdict: Verdict, copy: Prepared, original: Prepared) -> int:
    """Tell whether something was laid over the copy (1) or the original (-1) of a match, or 0."""
    if verdict.probability < 0.5 or not verdict.regions:
        return 0
    aligned = align_pair(copy, original, verdict.regions[0])
    return overlaid(aligned.copy, aligned.original, aligned.mask) if aligned else 0


def _hopeless(forward: Verdict, verifier: Verifier) -> PairVerdict | None:
    """Return the verdict on a pair that matches in neither direction, by its first one.

    Only for alignments that are not there by chance: instead of others, the second direction may
    find the one of a copy.
    """
    if forward.probability >= HOPELESS_PROBABILITY or not _is_certain(forward.evidence):
        return None
    backward, moment = verifier.predicted_backward(forward)
    if backward >= HOPELESS_PROBABILITY:
        return None
    verdict = _one_way(forward, backward=_limited(backward, seen=forward.seen))
    return replace(verdict, same_moment=min(verdict.same_moment, round(moment, 6)))


def _is_certain(evidence: Evidence) -> bool:
    return bool(evidence.learned) or evidence.inliers >= math.log1p(_CERTAIN_FEATURES)


def _one_way(verdict: Verdict, *, backward: float) -> PairVerdict:
    """Verdict on a pair by that of first -> second; without edits."""
    region = verdict.regions[0] if verdict.regions else None
    return PairVerdict(
        forward=_probability(verdict),
        backward=backward,
        first_outline=_outline(region.query_outline) if region else (),
        second_outline=_outline(region.reference_outline) if region else (),
        share_first=float(verdict.evidence.cover_query),
        share_second=float(verdict.evidence.cover_reference),
        reason=verdict.reason,
        seen=verdict.seen,
        same_moment=round(verdict.same_moment, 6),
    )


def _probability(verdict: Verdict) -> float:
    return _limited(verdict.probability, seen=verdict.seen)


def _limited(probability: float, *, seen: bool) -> float:
    return round(float(probability if seen else min(probability, UNSEEN_PROBABILITY)), 6)


def _outline(points: F32) -> Outline:
    return tuple((round(float(x), 4), round(float(y), 4)) for x, y in points)


def verify_all(
    pairs: Sequence[DigestPair], *, store: Path, workers: int
) -> Iterator[tuple[DigestPair, PairVerdict | str]]:
    """Verify many pairs of a store on disk, in the order given.

    Neighbouring pairs should share images, so that the caches help.

    Args:
        pairs: (first, second) digests.
        store: SQLite file that holds the thumbnails.
        workers: processes; 0 and 1 stay in this one.

    Yields:
        The pair, and its verdict or the reason why it could not be compared.
    """
    size = len(pairs) // (_BLOCKS * max(1, workers))
    size = min(max(size, _LEAST_BLOCK), PAIRS_PER_BLOCK)
    blocks = [list(pairs[start : start + size]) for start in range(0, len(pairs), size)]
    if workers <= 1:
        with closing(ThumbnailFile(store)) as thumbnails, closing(SiftFile(store)) as sift:
            worker = _Worker(thumbnails, sift)
            for block in blocks:
                yield from zip(block, worker(block), strict=True)
        return
    worker = _Worker(ThumbnailFile(store), SiftFile(store))
    verified = spawned_map(worker, blocks, processes=workers, ahead=8, what="the thumbnails")
    for block, results in zip(blocks, verified, strict=True):
        yield from zip(block, results, strict=True)


class _Worker:
    """Verify blocks of pairs; a pickled copy reads the same store in another process."""

    def __init__(self, thumbnails: ThumbnailFile, sift: SiftFile) -> None:
        self._files = thumbnails, sift
        self._verifier = PairVerifier(thumbnails, sift=sift, cached=ORDERED_CACHE_IMAGES)

    def __reduce__(self) -> tuple[type[_Worker], tuple[ThumbnailFile, SiftFile]]:
        return type(self), self._files

    def __call__(self, pairs: Sequence[DigestPair]) -> list[PairVerdict | str]:
        return [self._verify_pair(*pair) for pair in pairs]

    def _verify_pair(self, first: str, second: str) -> PairVerdict | str:
        try:
            return self._verifier.verify(first, second)
        except (AslError, OSError, cv2.error) as error:
            return f"could not be compared: {error}"
