"""Weigh the pairs of a scan by which image was made from which, where there is a choice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from asl.app.families.certain_loss import without_certain_losses
from asl.app.families.likeness import Likeness, measure_likeness
from asl.app.families.parentage import Relation, parent_weights
from asl.app.library.image_store import ImageStore
from asl.app.pairs.pair_verifier import verifier_id
from asl.app.scanning.result import MatchedPair, ScanImage
from asl.data.images import ImageError, decode_image
from asl.types import Progress

LIKENESS_VERSION = 2  # raised when values of earlier versions must not be reused
CANDIDATES = 16  # pairs of an image, the surest, that are measured
PAIRS_PER_TRANSACTION = 256
Thumbnail = Callable[[str], bytes]


def likeness_id() -> str:
    """Identify the measurement, for cached values."""
    return f"{verifier_id()}-likeness-{LIKENESS_VERSION}"


def weighed_pairs(
    images: Sequence[ScanImage],
    pairs: Sequence[MatchedPair],
    store: ImageStore,
    *,
    workers: int,
    progress: Progress,
) -> list[MatchedPair]:
    """Return the pairs with the weights of both directions.

    The pixels are compared only where an image has more than one pair: without a choice the
    direction of the pair decides.

    Args:
        images: of the scan.
        pairs: surest first.
        store: with the thumbnails; keeps what was measured.
        workers: threads.
        progress: called with (pairs done, pairs to do).
    """
    degree = Counter(image for pair in pairs for image in (pair.original, pair.copy))
    rows = [
        row for row, pair in enumerate(pairs) if max(degree[pair.original], degree[pair.copy]) > 1
    ]
    measured = _surest(pairs, rows)
    likeness = dict(
        zip(
            measured,
            _likeness(images, [pairs[row] for row in measured], store, workers, progress),
            strict=True,
        )
    )
    relations = [
        Relation(pairs[row].original, pairs[row].copy, pairs[row].verdict, likeness.get(row))
        for row in rows
    ]
    facts = [image.facts for image in images]
    weights = without_certain_losses(relations, facts, parent_weights(relations, facts))
    weighed = list(pairs)
    for row, (forward, backward) in zip(rows, weights, strict=True):
        weighed[row] = replace(
            pairs[row], weight=round(1000 * forward), back_weight=round(1000 * backward)
        )
    return weighed


def _surest(pairs: Sequence[MatchedPair], rows: Sequence[int]) -> list[int]:
    """Return the rows to measure: the first few of every image."""
    counted = Counter[int]()
    chosen = []
    for row in rows:
        ends = pairs[row].original, pairs[row].copy
        if min(counted[end] for end in ends) < CANDIDATES:
            counted.update(ends)
            chosen.append(row)
    return chosen


def _likeness(
    images: Sequence[ScanImage],
    pairs: Sequence[MatchedPair],
    store: ImageStore,
    workers: int,
    progress: Progress,
) -> list[Likeness | None]:
    """Return the likeness of (original, copy) of every pair, from the cache where it is there."""
    keys = [(images[pair.original].digest, images[pair.copy].digest) for pair in pairs]
    cached = store.verdicts(likeness_id(), keys)
    fresh = [place for place, key in enumerate(keys) if key not in cached]
    values = {key: _read(text) for key, text in cached.items()}
    unsaved: list[tuple[str, str, str]] = []
    measured = _measure([pairs[place] for place in fresh], images, store.thumbnail, workers)
    for done, (place, likeness) in enumerate(zip(fresh, measured, strict=True), start=1):
        values[keys[place]] = likeness
        unsaved.append((*keys[place], json.dumps(likeness.values() if likeness else None)))
        if len(unsaved) == PAIRS_PER_TRANSACTION or done == len(fresh):
            store.put_verdicts(likeness_id(), unsaved)
            unsaved = []
        progress(done, len(fresh))
    return [values[key] for key in keys]


def _read(text: str) -> Likeness | None:
    values = json.loads(text)
    return Likeness(*values) if values else None


def _measure(
    pairs: Sequence[MatchedPair], images: Sequence[ScanImage], thumbnail: Thumbnail, workers: int
) -> Iterator[Likeness | None]:
    """Measure pairs in order, in threads: OpenCV releases the interpreter's lock."""

    def measure(pair: MatchedPair) -> Likeness | None:
        try:
            original, copy = (
                decode_image(thumbnail(images[number].digest))
                for number in (pair.original, pair.copy)
            )
        except ImageError:
            return None
        return measure_likeness(original, copy, pair.verdict)

    with ThreadPoolExecutor(max(1, workers)) as threads:
        for start in range(0, len(pairs), PAIRS_PER_TRANSACTION):
            yield from threads.map(measure, pairs[start : start + PAIRS_PER_TRANSACTION])
