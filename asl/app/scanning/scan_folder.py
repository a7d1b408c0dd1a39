"""Scan a folder of photographs for copies: candidates by their embeddings, a look at the pixels, groups, files."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from asl.app.library.image_store import ImageStore
from asl.app.library.ingest import Intake
from asl.app.library.local_feature_store import Voted, propose, remember
from asl.app.library.sync import Listing, Synced, list_files, sync
from asl.app.origin import Origin, find_origin
from asl.app.pair_verifier import PairVerdict, judge_all, judge_name
from asl.app.scanning.groups import missing_spokes
from asl.app.scanning.pair_candidates import Candidates, Contents, looking_order, nearest_pairs
from asl.app.scanning.result import Found, ScanImage, ScanOptions, ScanResult
from asl.matching.decision.thresholds import threshold_for
from asl.types import I64, AslError, UsageError

SHOWN = 0.5  # pairs below this are shown only to those who ask for a precision that accepts them
_LEAST_BUDGET = 10_000
_SAVE_EVERY = 960  # verdicts in one transaction
Bar = Callable[[str, str], AbstractContextManager[Callable[[int, int], None]]]


def scan(options: ScanOptions, *, bar: Bar) -> ScanResult:
    """Find copies.

    Args:
        options: what and how.
        bar: (label, unit) -> context manager that gives a progress function.

    Raises:
        UsageError: a folder that is not there, or no such precision.
        AslError: not one image could be read, or a cache of something else.
    """
    clock, threshold = _Clock(), threshold_for(options.precision)
    photos, library = _listed(options)
    ours = {source.name for source in photos.sources}
    extra = library.sources if library else ()
    intake = Intake(
        options.model, device=options.device, regions=options.regions, max_pixels=options.max_pixels
    )
    # One file per model, so that another model never meets foreign features.
    path = options.cache.with_name(f"{options.cache.stem}-{intake.hash[:8]}{options.cache.suffix}")
    store = intake.open_store(path)
    try:
        store.keep_judge(judge_name())
        clock.step("start")
        with bar("embedding", "images") as progress:
            synced = sync(store, intake, [*photos.sources, *extra], progress=progress)
        if not synced.digests:
            name, reason = next(iter(synced.failures.items()))
            raise AslError(
                f"none of {len(synced.failures)} images can be read, e.g. {name}: {reason}"
            )
        contents = _contents(options, store, intake, synced, bar)
        clock.step("embedding")
        candidates = _candidates(
            options, store, contents, synced, (ours, {source.name for source in extra}), bar
        )
        clock.step("searching")
        theirs = {source.name for source in extra}
        judged, uncompared = _judge(options, store, contents, candidates, bar)
        shown = min(SHOWN, threshold)
        images, pairs = _pairs(store, contents, synced, judged, theirs, shown)
        more = _fragments(contents, images, pairs, across=library is not None)
        if len(more.first):
            further, failed = _judge(options, store, contents, more, bar)
            judged, uncompared = {**judged, **further}, [*uncompared, *failed]
            images, pairs = _pairs(store, contents, synced, judged, theirs, shown)
        clock.step("comparing")
    finally:
        store.close()
    looked_at = len(judged) + len(uncompared)
    return ScanResult(
        photos.root,
        library is not None,
        images,
        pairs,
        threshold,
        options.precision,
        synced,
        len(photos.sources) + len(extra),
        looked_at,
        candidates.found,
        len(uncompared),
        path,
        photos.links + (library.links if library else 0),
        _skipped(photos, library),
        clock.seconds,
    )


def _listed(options: ScanOptions) -> tuple[Listing, Listing | None]:
    """The photos, and the library where there is one."""
    photos, against = list_files(options.photos, role="PHOTOS"), options.against
    if against is None:
        return photos, None
    if against.exists() and os.path.samefile(options.photos, against):
        raise UsageError(
            f"--against: {against} is PHOTOS itself; leave it out to look for copies within PHOTOS"
        )
    return photos, list_files(against, role="--against", beside=photos)


def _skipped(*listings: Listing | None) -> dict[str, int]:
    total = Counter[str]()
    for listing in listings:
        total.update(dict(listing.skipped) if listing else {})
    return dict(total.most_common())


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def step(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(now - self._last, 2)
        self._last = now


def _contents(
    options: ScanOptions, store: ImageStore, intake: Intake, synced: Synced, bar: Bar
) -> Contents:
    digests = list(dict.fromkeys(synced.digests.values()))
    if not intake.regions:
        return Contents.of(digests, store.features(digests))
    # Of images that an earlier scan embedded with other regions.
    if store.without_parts(intake.regions, digests):
        with bar(f"embedding parts ({options.regions})", "images") as progress:
            intake.embed_parts(store, digests, progress=progress)
    return Contents.of(digests, store.features(digests), store.parts(intake.regions, digests))


def _candidates(
    options: ScanOptions,
    store: ImageStore,
    contents: Contents,
    synced: Synced,
    sides: tuple[set[str], set[str]],
    bar: Bar,
) -> Candidates:
    row = {digest: number for number, digest in enumerate(contents.digests)}
    left = _rows(row, synced, sides[0])
    # Files that lie in both are photos; a library that holds the photos has nothing more to compare
    # them with.
    right = _rows(row, synced, sides[1]) if options.against else left
    voted = _voted(options, store, contents, left, right, bar) if options.details else None
    budget = max(_LEAST_BUDGET, int(options.effort * len(left)))
    return nearest_pairs(contents, left, right, k=options.neighbours, budget=budget, voted=voted)


def _voted(
    options: ScanOptions, store: ImageStore, contents: Contents, left: I64, right: I64, bar: Bar
) -> Voted:
    """What local features propose; a detail that two images share is one whichever of them is asked."""
    with bar("finding details", "images") as progress:
        remember(store, _file(store), contents.digests, workers=options.workers, progress=progress)
    with bar("matching details", "images") as progress:
        return propose(
            store, _file(store), contents.digests, left, right, k=options.details, progress=progress
        )


def _file(store: ImageStore) -> Path:
    if store.path is None:
        raise AslError("scan: the cache has to be a file")
    return store.path


def _rows(row: dict[str, int], synced: Synced, names: Iterable[str]) -> np.ndarray:
    found = {row[synced.digests[name]] for name in names if name in synced.digests}
    return np.array(sorted(found), dtype=np.int64)


Judged = dict[tuple[int, int], tuple[float, PairVerdict]]


def _judge(
    options: ScanOptions, store: ImageStore, contents: Contents, candidates: Candidates, bar: Bar
) -> tuple[Judged, list[str]]:
    """Judgements of all candidates: remembered ones, then the others."""
    names, judged, fresh = contents.digests, {}, []
    triples = zip(
        candidates.first.tolist(),
        candidates.second.tolist(),
        candidates.cosines.tolist(),
        strict=True,
    )
    cosine = {(a, b) if names[a] < names[b] else (b, a): value for a, b, value in triples}
    known = store.verdicts(judge_name(), [(names[a], names[b]) for a, b in cosine])
    for pair, value in cosine.items():
        text = known.get((names[pair[0]], names[pair[1]]))
        if text is None:
            fresh.append(pair)
        else:
            judged[pair] = (value, PairVerdict.from_json(text))
    uncompared: list[str] = []
    with bar("comparing", "pairs") as progress:
        for done, (pair, result) in enumerate(_look(options, store, contents, fresh), start=1):
            progress(done, len(fresh))
            if isinstance(result, str):
                uncompared.append(result)
            else:
                judged[pair] = (cosine[pair], result)
        progress(len(fresh), len(fresh))
    return judged, uncompared


def _look(
    options: ScanOptions, store: ImageStore, contents: Contents, pairs: list[tuple[int, int]]
) -> Iterable[tuple[tuple[int, int], PairVerdict | str]]:
    """Judge pairs of rows; what was found is kept as it comes, so that a stopped scan goes on where it was."""
    array = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    ordered = [pairs[place] for place in looking_order(array[:, 0], array[:, 1]).tolist()]
    names = [(contents.digests[first], contents.digests[second]) for first, second in ordered]
    waiting: list[tuple[str, str, str]] = []
    try:
        for pair, (digests, result) in zip(
            ordered, judge_all(names, store=_file(store), workers=options.workers), strict=True
        ):
            if isinstance(result, PairVerdict):
                waiting.append((*digests, result.to_json()))
            if len(waiting) >= _SAVE_EVERY:
                store.put_verdicts(judge_name(), waiting)
                waiting = []
            yield pair, result
    finally:
        store.put_verdicts(judge_name(), waiting)


def _fragments(
    contents: Contents, images: list[ScanImage], pairs: list[Found], *, across: bool
) -> Candidates:
    """Pairs that may join fragments of a group; in a comparison with a library, only across."""
    row = {digest: number for number, digest in enumerate(contents.digests)}
    wanted = [
        (row[images[centre].digest], row[images[other].digest])
        for centre, other in missing_spokes([pair.edge for pair in pairs])
        if not across or images[centre].in_library[0] != images[other].in_library[0]
    ]
    array = np.array(wanted, dtype=np.int64).reshape(-1, 2)
    first, second = array[:, 0], array[:, 1]
    cosines = np.einsum("pd,pd->p", contents.vectors[first], contents.vectors[second])
    return Candidates(first, second, cosines.astype(np.float32), len(first))


def _pairs(
    store: ImageStore,
    contents: Contents,
    synced: Synced,
    judged: Judged,
    theirs: set[str],
    shown: float,
) -> tuple[list[ScanImage], list[Found]]:
    """Pairs from a probability on and the images in them; files with the same bytes are one image."""
    matching = {pair: value for pair, value in judged.items() if value[1].probability >= shown}
    paths: dict[str, list[str]] = {}
    for path, digest in synced.digests.items():
        paths.setdefault(digest, []).append(path)
    in_pair = {row for pair in matching for row in pair}
    rows = [
        row
        for row, digest in enumerate(contents.digests)
        if row in in_pair or len(paths[digest]) > 1
    ]
    facts = store.facts([contents.digests[row] for row in rows])
    images = []
    for row in rows:
        digest = contents.digests[row]
        # Of identical files the one with the shortest path is shown: "photo.jpg" before "photo
        # (1).jpg".
        names = tuple(sorted(paths[digest], key=lambda name: (len(name), name)))
        sides = tuple(name in theirs for name in names)
        images.append(
            ScanImage(names, sides, digest, facts[digest], float(contents.log_norms[row]))
        )
    number = {row: place for place, row in enumerate(rows)}
    found = [_found(images, number[a], number[b], *value) for (a, b), value in matching.items()]
    return images, sorted(
        found, key=lambda pair: (-pair.judgement.probability, pair.original, pair.copy)
    )


def _found(
    images: list[ScanImage], first: int, second: int, cosine: float, judgement: PairVerdict
) -> Found:
    a, b = images[first], images[second]
    origin = find_origin(
        judgement, a.facts, b.facts, first_log_norm=a.log_norm, second_log_norm=b.log_norm
    )
    if origin.vote >= 0:
        return Found(second, first, cosine, judgement.flipped(), origin)
    return Found(first, second, cosine, judgement, Origin(-origin.vote, origin.why))
