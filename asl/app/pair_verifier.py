"""Pairs of small pictures judged in both directions: is one a copy of the other, where, and what was done to it."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from asl.app.edits_seen import likely_edits
from asl.app.library.thumbnails import PictureFile
from asl.data.images import decode_image
from asl.matching import Verdict, Verifier
from asl.matching.align.prepare import Prepared, working_image
from asl.parallel import spawned_map
from asl.types import AslError

_KEPT = 2500  # pictures and their local features in memory, a tenth of a megabyte each
_READY = 32  # the same, unpacked, almost a megabyte each
_BLOCK = 192  # pairs that a process takes at a time
Picture = Callable[[str], bytes]
Pair = tuple[str, str]
Kept = TypeVar("Kept")
Outline = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class PairVerdict:
    """What the pixels say of two images, first and second.

    Attributes:
        forward: 0..1, that the first was made from the second.
        backward: 0..1, that the second was made from the first.
        first_outline: corners (x, y) in 0..1 of the first image, of what both show; empty where
            nothing was found.
        second_outline: the same corners in the second image.
        share_first: share of the first image that the second covers.
        share_second: share of the second image that the first covers.
        edits: what was probably done, in words, read in the surer direction.
        reason: one sentence for people, in which ``query`` is the first image and ``reference`` the
            second.
        seen: False where there was too little structure to decide.
        greyed: 1 where the first shows in grey what the second shows in colour, -1 the other way
            round, else 0.
        identical: whether both are the same file, so that nothing was looked at.
    """

    forward: float
    backward: float
    first_outline: Outline = ()
    second_outline: Outline = ()
    share_first: float = 0.0
    share_second: float = 0.0
    edits: tuple[str, ...] = ()
    reason: str = ""
    seen: bool = True
    greyed: int = 0
    identical: bool = False

    @property
    def probability(self) -> float:
        """That one of them was made from the other."""
        return max(self.forward, self.backward)

    def flipped(self) -> PairVerdict:
        """The same pair read the other way round."""
        return replace(
            self,
            forward=self.backward,
            backward=self.forward,
            first_outline=self.second_outline,
            second_outline=self.first_outline,
            share_first=self.share_second,
            share_second=self.share_first,
            reason=named(self.reason, query="reference", reference="query"),
            greyed=-self.greyed,
        )

    def to_json(self) -> str:
        """As text; :meth:`from_json` reads it back."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> PairVerdict:
        """From text."""
        raw = json.loads(text)
        for key in ("first_outline", "second_outline"):
            raw[key] = tuple((float(x), float(y)) for x, y in raw[key])
        return cls(**{**raw, "edits": tuple(raw["edits"])})


SAME = PairVerdict(
    1.0,
    1.0,
    share_first=1.0,
    share_second=1.0,
    edits=("exact copy",),
    reason="the same file, byte for byte",
    identical=True,
)
SAME_PIXELS = replace(
    SAME,
    reason="the same pixels at the size that is compared",
    edits=("re-encoded",),
    identical=False,
)


@lru_cache(maxsize=1)
def judge_name() -> str:
    """Names the packaged verifier and its settings: kept verdicts of another one are not used."""
    verifier = Verifier()
    text = f"7|{verifier.settings}|{verifier.model.to_json()}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class _Packed:
    """What is costly of a prepared picture; the rest is made anew from the JPEG."""

    picture: bytes
    points: npt.NDArray[np.float32]
    scales: npt.NDArray[np.float32]
    angles: npt.NDArray[np.float32]
    descriptors: npt.NDArray[np.uint8]

    def unpack(self, size: int) -> Prepared:
        image = working_image(decode_image(self.picture), size)
        return Prepared(image, self.points, self.scales, self.angles, self.descriptors)


def _keep(kept: OrderedDict[str, Kept], key: str, value: Kept, most: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)


class PairVerifier:
    """Looks at pairs in this process, from any thread; keeps the local features of the pictures seen last."""

    def __init__(self, picture: Picture, *, verifier: Verifier | None = None) -> None:
        """Set where pictures come from.

        Args:
            picture: content -> small JPEG.
            verifier: the packaged one unless given.
        """
        self._picture, self._verifier = picture, verifier or Verifier()
        self._lock = threading.Lock()
        self._ready: OrderedDict[str, Prepared] = OrderedDict()
        self._packed: OrderedDict[str, _Packed] = OrderedDict()

    def judge(self, first: str, second: str) -> PairVerdict:
        """Judge two known contents."""
        if first == second:
            return SAME
        return judge_prepared(self.prepared(first), self.prepared(second), self._verifier)

    def compare(self, first: Prepared, second: str) -> PairVerdict:
        """Judge a picture that is not in the store against one that is."""
        return judge_prepared(first, self.prepared(second), self._verifier)

    def prepared(self, digest: str) -> Prepared:
        """Local features of a content; finding them takes the longest, so they are kept for many more contents."""
        with self._lock:
            ready, packed = self._ready.get(digest), self._packed.get(digest)
        if ready is None and packed is not None:
            ready = packed.unpack(self._verifier.settings.size)
        if ready is None:
            picture = self._picture(digest)
            ready = self.prepare(picture)
            packed = _Packed(picture, ready.points, ready.scales, ready.angles, ready.descriptors)
        with self._lock:
            _keep(self._ready, digest, ready, _READY)
            if packed is not None:
                _keep(self._packed, digest, packed, _KEPT)
        return ready

    def prepare(self, picture: bytes) -> Prepared:
        """Local features of a small picture."""
        return self._verifier.prepare(decode_image(picture))


def judge_prepared(first: Prepared, second: Prepared, verifier: Verifier) -> PairVerdict:
    """Both directions of a pair; the second one only where the first found anything to compare."""
    # Without a single local feature they may be two blank pages.
    if len(first.points) and np.array_equal(first.image, second.image):
        return SAME_PIXELS
    forward = verifier.verify_prepared(first, second)
    if not forward.evidence.aligned:
        return PairVerdict(_sure(forward), _sure(forward), reason=forward.reason, seen=forward.seen)
    backward = verifier.verify_prepared(second, first)
    back = backward.probability > forward.probability
    best, copy, original = (backward, second, first) if back else (forward, first, second)
    region = best.regions[0] if best.regions else None
    words, greyed = likely_edits(best, copy, original)
    found = PairVerdict(
        forward=_sure(best),
        backward=_sure(forward if back else backward),
        first_outline=_outline(region.query_outline) if region else (),
        second_outline=_outline(region.reference_outline) if region else (),
        share_first=float(best.evidence.cover_query),
        share_second=float(best.evidence.cover_reference),
        edits=words,
        reason=best.reason,
        seen=best.seen,
        greyed=greyed,
    )
    return found.flipped() if back else found


def named(reason: str, *, query: str, reference: str) -> str:
    """A reason with other words for the two images."""
    words = {"query": query, "reference": reference}
    return re.sub("query|reference", lambda found: words[found[0]], reason)


def _sure(verdict: Verdict) -> float:
    # Where there was nothing to look at the verifier's number says nothing: it must not make a
    # match.
    return round(float(verdict.probability if verdict.seen else min(verdict.probability, 0.01)), 6)


def _outline(points: np.ndarray) -> Outline:
    return tuple((round(float(x), 4), round(float(y), 4)) for x, y in points)


def judge_all(
    pairs: Sequence[Pair], *, store: Path, workers: int
) -> Iterator[tuple[Pair, PairVerdict | str]]:
    """Judge many pairs of contents of a store on disk, in their order; neighbours in the list should share images.

    Args:
        pairs: (first, second) contents.
        store: the SQLite file with their pictures.
        workers: processes; 0 and 1 stay in this one.

    Yields:
        The pair, and its judgement or the reason why it could not be judged.
    """
    blocks = [list(pairs[start : start + _BLOCK]) for start in range(0, len(pairs), _BLOCK)]
    if workers <= 1:
        with closing(PictureFile(store)) as pictures:
            worker = _Worker(pictures)
            for block in blocks:
                yield from zip(block, worker(block), strict=True)
        return
    worker = _Worker(PictureFile(store))
    judged = spawned_map(worker, blocks, processes=workers, ahead=8, what="the thumbnails")
    for block, results in zip(blocks, judged, strict=True):
        yield from zip(block, results, strict=True)


class _Worker:
    """Judges blocks of pairs; another process gets its own, of the same thumbnails."""

    def __init__(self, pictures: PictureFile) -> None:
        self._pictures = pictures
        self._judge = PairVerifier(pictures)

    def __reduce__(self) -> tuple[type[_Worker], tuple[PictureFile]]:
        return type(self), (self._pictures,)

    def __call__(self, pairs: Sequence[Pair]) -> list[PairVerdict | str]:
        return [self._one(*pair) for pair in pairs]

    def _one(self, first: str, second: str) -> PairVerdict | str:
        try:
            return self._judge.judge(first, second)
        except (AslError, OSError, cv2.error) as error:
            return f"could not be compared: {error}"
