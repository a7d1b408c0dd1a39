"""Scan a folder of photographs for copies: embed, retrieve candidates, verify, decide."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asl.app.families.family_trees import unmatched_relatives
from asl.app.library.image_store import ImageStore
from asl.app.library.ingest import Ingestor
from asl.app.library.local_feature_store import VotedPairs, extract_missing, retrieve_by_votes
from asl.app.library.records import Source
from asl.app.library.sync import FileListing, SyncResult, sync
from asl.app.pairs.cached_verdicts import recall_verdicts
from asl.app.pairs.pair_marks import marks_path
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.pairs.pair_verifier import verifier_id
from asl.app.pairs.same_moment import may_be_same_moment
from asl.app.scanning import scan_stages
from asl.app.scanning.collage_sources import with_collage_sources
from asl.app.scanning.directed_pairs import directed_pair
from asl.app.scanning.pair_candidates import (
    ALL_COMPARED,
    CandidatePairs,
    Contents,
    nearest_pairs,
    pair_budget,
)
from asl.app.scanning.pair_comparer import Bar, PairComparer
from asl.app.scanning.pair_prospects import prospects_of
from asl.app.scanning.remembered_marks import RememberedMarks
from asl.app.scanning.result import MatchedPair, ScanImage, ScanResult
from asl.app.scanning.scan_cache import cache_of, cache_path
from asl.app.scanning.scan_files import list_both, skipped_formats
from asl.app.scanning.weigh_parents import weighed_pairs
from asl.console.schemas.scan_config import ScanConfig
from asl.counts import counted
from asl.matching.decision.thresholds import threshold_for
from asl.types import I64, AslError, Bools

LEAST_SHOWN = 0.5  # pairs below are shown only with a precision that accepts them
RELATIVES = 16  # images of its family that an image is compared with beside its candidates
Listed = tuple[FileListing, FileListing | None]
AlsoListed = Callable[[PairVerdict], bool]


def scan(options: ScanConfig, *, bar: Bar, listed: Listed | None = None) -> ScanResult:
    """Find copies.

    Args:
        options: of the scan; those of its output (format, gallery ...) are not read.
        bar: (label, unit) -> context manager that gives a progress function.
        listed: the files, where :func:`list_both` has listed them.

    Raises:
        UsageError: a folder does not exist, or there is no such precision.
        AslError: no image could be read, or the cache is another file.
    """
    threshold_for(options.precision)  # a wrong one is refused before the files are listed
    photos, library = listed or list_both(options)
    # With a library the shots of one moment are no matches.
    also = None if library else may_be_same_moment
    return scan_listings(photos, library, options, bar=bar, also=also)


def scan_listings(
    photos: FileListing,
    library: FileListing | None,
    options: ScanConfig,
    *,
    bar: Bar,
    also: AlsoListed | None = None,
) -> ScanResult:
    """Find copies within listed images, or between them and a library.

    Args:
        photos: images to look for.
        library: images to compare them with; None: with each other. One that is in both is
            compared with the others of both.
        options: as in :func:`scan`; ``photos`` and ``against`` are not read.
        bar: as in :func:`scan`.
        also: selects pairs to list whatever their probability; None: no others.

    Raises:
        UsageError: there is no such precision.
        AslError: no image could be read, or the cache is another file.
    """
    clock = _Clock()
    threshold = threshold_for(options.precision)
    listings = [photos, library] if library else [photos]
    sources = [source for listing in listings for source in listing.sources]
    ingestor = _ingestor(options)
    cache = cache_of(options)
    remembered = RememberedMarks.read(cache, options.calibration)
    path = cache_path(cache, ingestor.hash)
    store = ingestor.open_store(path)
    try:
        _prepare(store, options)
        clock.step("start")
        synced = _sync(store, ingestor, sources, bar)
        contents = _read_contents(options, store, ingestor, synced, bar)
        clock.step("embedding")
        in_library = {source.name for source in library.sources} if library else None
        run = _Scan(options, store, path, contents, synced, in_library, bar, remembered)
        candidates = run.retrieve({source.name for source in photos.sources})
        clock.step("searching")
        images, pairs = run.compare(candidates, least=min(LEAST_SHOWN, threshold), also=also)
        clock.step("comparing")
    finally:
        store.close()
    return ScanResult(
        roots=tuple(root for listing in listings for root in listing.roots),
        across=library is not None,
        images=images,
        pairs=pairs,
        threshold=threshold,
        precision=options.precision,
        synced=synced,
        files=len(sources),
        compared=len(run.comparer.verdicts) + len(run.comparer.failures),
        candidates=candidates.found,
        hopeless=candidates.hopeless + run.comparer.hopeless,
        recalled=candidates.recalled,
        uncompared=len(run.comparer.failures),
        store=path,
        links=sum(listing.links for listing in listings),
        raw_twins=sum(listing.raw_twins for listing in listings),
        left_out=sum(listing.left_out for listing in listings),
        skipped=skipped_formats(listings),
        unreadable_folders=dict(pair for listing in listings for pair in listing.unreadable),
        seconds=clock.seconds,
        model=options.model,
        model_hash=ingestor.hash,
        marks=marks_path(cache),
        marked_out=remembered.counts(images),
        calibration=remembered.calibration,
    )


def _prepare(store: ImageStore, options: ScanConfig) -> None:
    """Check a store where that was asked for, and leave it the verdicts of this verifier."""
    if options.check_files:
        store.check()
    store.keep_verdicts_of(verifier_id())


def _ingestor(options: ScanConfig) -> Ingestor:
    return Ingestor(
        options.model,
        device=options.device,
        regions=options.regions,
        max_pixels=round(1e6 * options.max_megapixels),
    )


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def step(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(now - self._last, 2)
        self._last = now


def _sync(store: ImageStore, ingestor: Ingestor, sources: Sequence[Source], bar: Bar) -> SyncResult:
    with bar(scan_stages.EMBED, "images") as progress:
        synced = sync(store, ingestor, sources, progress=progress)
    if not synced.digests:
        name, reason = next(iter(synced.failures.items()))
        raise AslError(
            f"none of {counted(len(synced.failures), 'image')} can be read, e.g. {name}: {reason}"
        )
    return synced


def _read_contents(
    options: ScanConfig, store: ImageStore, ingestor: Ingestor, synced: SyncResult, bar: Bar
) -> Contents:
    digests = list(dict.fromkeys(synced.digests.values()))
    if not ingestor.regions:
        return Contents.from_features(digests, store.features(digests))
    # An earlier scan may have embedded these images with other regions.
    if store.without_regions(ingestor.regions, digests):
        with bar(f"{scan_stages.REGIONS} ({options.regions})", "images") as progress:
            ingestor.embed_regions(store, digests, progress=progress)
    regions = store.region_features(ingestor.regions, digests)
    return Contents.from_features(digests, store.features(digests), regions)


@dataclass(eq=False)
class _Scan:
    """Retrieval and verification on the contents of one scan.

    Attributes:
        options: of the scan.
        store: with the features of all contents.
        path: its file.
        contents: by row.
        synced: outcome for the files.
        in_library: paths of the library's files; None without a library.
        bar: progress display.
        remembered: marks of earlier reviews.
    """

    options: ScanConfig
    store: ImageStore
    path: Path
    contents: Contents
    synced: SyncResult
    in_library: set[str] | None
    bar: Bar
    remembered: RememberedMarks

    def __post_init__(self) -> None:
        rule = prospects_of(self.store.model)
        self._prospects = rule if self.options.compare != "all" else None
        asked = self.options.workers
        self._workers = asked if asked is not None else os.cpu_count() or 1
        self.comparer = PairComparer(
            self.store, self.path, self.contents.digests, self._workers, self.bar, self._prospects
        )

    def retrieve(self, photos: set[str]) -> CandidatePairs:
        """Retrieve the candidate pairs of the photos, given by their paths."""
        options = self.options
        queries = self._rows(photos)
        # A file in both folders is a photo; a library that holds all photos has nothing to
        # compare them with.
        references = queries if self.in_library is None else self._rows(self.in_library)
        if options.compare == "auto" and len(queries) <= ALL_COMPARED:
            self._prospects = self.comparer.prospects = None
        voted = self._vote(queries, references) if options.local_candidates else None
        return nearest_pairs(
            self.contents,
            queries,
            references,
            k=options.neighbours,
            budget=pair_budget(options, len(queries)),
            voted=voted,
            prospects=self._prospects,
            known=self._known,
        )

    def _known(self, first: I64, second: I64) -> Bools:
        """Select pairs of rows that an earlier comparison decided, bool ``[P]``."""
        digests = self.contents.digests
        pairs = [
            (min(a, b), max(a, b))
            for a, b in ((digests[a], digests[b]) for a, b in zip(first, second, strict=True))
        ]
        known = recall_verdicts(pairs, store=self.store, path=self.path)
        return np.fromiter((pair in known for pair in pairs), np.bool_, len(pairs))

    def _rows(self, names: Iterable[str]) -> I64:
        row = {digest: number for number, digest in enumerate(self.contents.digests)}
        digests = self.synced.digests
        return np.array(
            sorted({row[digests[name]] for name in names if name in digests}), dtype=np.int64
        )

    def _vote(self, queries: I64, references: I64) -> VotedPairs:
        store, path = self.store, self.path
        digests = self.contents.digests
        with self.bar(scan_stages.EXTRACT, "images") as progress:
            extract_missing(store, path, digests, workers=self._workers, progress=progress)
        with self.bar(scan_stages.VOTE, "images") as progress:
            return retrieve_by_votes(
                store,
                path,
                digests,
                queries,
                references,
                k=self.options.local_candidates,
                workers=self._workers,
                progress=progress,
            )

    def compare(
        self, candidates: CandidatePairs, *, least: float, also: AlsoListed | None
    ) -> tuple[list[ScanImage], list[MatchedPair]]:
        """Verify candidates, then the members of a family with each other.

        Args:
            candidates: pairs of rows.
            least: lowest probability of a matching pair.
            also: selects further pairs to list.
        """
        self.comparer.compare_promising(candidates)
        relatives = self._relatives(*self._matched(least))
        if len(relatives.first):
            self.comparer.compare(relatives, scan_stages.RELATIVES)
        images, pairs = self._matched(least, also)
        if self.in_library is not None:  # matches of a new picture are a list, no tree
            return images, pairs
        count = sum(pair.probability >= least for pair in pairs)
        with self.bar(scan_stages.PARENTS, "pairs") as progress:
            weighed = weighed_pairs(
                images, pairs[:count], self.store, workers=self._workers, progress=progress
            )
        return images, [*weighed, *pairs[count:]]

    def _relatives(self, images: list[ScanImage], pairs: list[MatchedPair]) -> CandidatePairs:
        """Retrieve pairs of images that match the same third one; with a library, only across."""
        row = {digest: number for number, digest in enumerate(self.contents.digests)}
        across = self.in_library is not None
        edges = [pair.edge(0.0) for pair in pairs]
        relatives = [
            (row[images[first].digest], row[images[second].digest])
            for first, second in unmatched_relatives(edges, most=RELATIVES)
            if not across or images[first].is_across(images[second])
        ]
        compared = self.comparer.verdicts.keys()
        digests = self.contents.digests
        rows = np.array(
            [
                (a, b)
                for a, b in relatives
                if ((a, b) if digests[a] < digests[b] else (b, a)) not in compared
            ],
            dtype=np.int64,
        ).reshape(-1, 2)
        first, second = rows[:, 0], rows[:, 1]
        cosines = self.contents.cosines(first, second)
        return CandidatePairs(first, second, cosines, np.zeros_like(cosines), len(first))

    def _matched(
        self, least: float, also: AlsoListed | None = None
    ) -> tuple[list[ScanImage], list[MatchedPair]]:
        """Return pairs from a probability on and their images; identical files are one image."""
        digests = self.contents.digests
        matching = {
            pair: (cosine, verdict)
            for pair, (cosine, verdict) in self.remembered.without_marked(
                self.comparer.verdicts, digests
            ).items()
            if self.remembered.probability(verdict) >= least or (also and also(verdict))
        }
        paths: dict[str, list[str]] = {}
        for path, digest in self.synced.digests.items():
            paths.setdefault(digest, []).append(path)
        in_pair = {row for pair in matching for row in pair}
        rows = [
            row for row, digest in enumerate(digests) if row in in_pair or len(paths[digest]) > 1
        ]
        facts = self.store.facts([digests[row] for row in rows])
        images = []
        for row in rows:
            digest = digests[row]
            # The shortest path of identical files is shown: "photo.jpg", not "photo (1).jpg".
            names = tuple(sorted(paths[digest], key=lambda name: (len(name), name)))
            in_library = tuple(name in (self.in_library or ()) for name in names)
            log_norm = float(self.contents.log_norms[row])
            keep_all = self.remembered.keeps_all(digest)
            images.append(ScanImage(names, in_library, digest, facts[digest], log_norm, keep_all))
        number = {row: place for place, row in enumerate(rows)}
        pairs = with_collage_sources(
            [
                self.remembered.calibrate(
                    directed_pair(images, number[first], number[second], cosine, verdict)
                )
                for (first, second), (cosine, verdict) in matching.items()
            ]
        )
        pairs.sort(key=lambda pair: (-pair.probability, pair.original, pair.copy))
        return images, pairs
