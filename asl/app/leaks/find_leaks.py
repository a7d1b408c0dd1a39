"""Find the pairs of images that two splits of a data set share, by scans across the splits."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, zip_longest
from pathlib import Path
from typing import Literal

from asl.app.leaks.splits import Split
from asl.app.library.thumbnails import ThumbnailFile
from asl.app.pairs.edits_seen import FULL_COVER
from asl.app.pairs.pair_verdict import reworded
from asl.app.pairs.same_moment import may_be_same_moment, taken_apart
from asl.app.scanning.pair_comparer import Bar
from asl.app.scanning.result import MatchedPair, ScanImage, ScanResult
from asl.app.scanning.scan_folder import scan_listings
from asl.console.schemas.scan_config import ScanConfig
from asl.storage import printable_name

Kind = Literal["identical file", "same pixels", "copy", "crop", "same moment"]
KINDS: tuple[Kind, ...] = ("identical file", "same pixels", "copy", "crop", "same moment")
Side = Literal["train", "test"]  # of two splits, train is the one that was given first
# The arrow points at the copy.
Direction = Literal["train->test", "test->train", "unclear", "same file"]


@dataclass(frozen=True)
class Leak:
    """A file of one split that leaks into another; *train* is the split that was given first.

    Attributes:
        train_split: name of the split.
        train: absolute path of its file.
        test_split: name of the other split.
        test: absolute path of its file.
        kind: of the leak.
        probability: 0..1 that one is a copy of the other.
        direction: of original and copy; ``unclear`` also for frames of the same moment.
        why: strongest cue for the direction; empty where it is unclear.
        edits: probable edits of the copy.
        reason: content that the two share.
        digests: contents of the two files.
    """

    train_split: str
    train: str
    test_split: str
    test: str
    kind: Kind
    probability: float
    direction: Direction
    why: str
    edits: tuple[str, ...]
    reason: str
    digests: tuple[str, str]


@dataclass(frozen=True, eq=False)
class SplitOutcome:
    """One split after the search.

    Attributes:
        split: its images.
        failures: absolute path -> why the file (or folder) could not be read.
        processed: number of images that were compared.
    """

    split: Split
    failures: dict[str, str]
    processed: int

    @property
    def unreadable(self) -> int:
        """Number of images that could not be read."""
        return len(self.split.listing.sources) - self.processed


@dataclass(frozen=True, eq=False)
class Leaks:
    """Leaks between the splits of a data set.

    Attributes:
        splits: in the order in which they were given.
        leaks: identical files first, then by kind, surest first.
        precision: that was asked for.
        threshold: probability from which on a pair counts as a copy.
        store: cache file, for thumbnails.
        compared: number of verified pairs, those that could not be compared included.
        uncompared: number of pairs that could not be compared.
        hopeless: number of candidate pairs left out because they cannot match.
        seconds: step -> wall-clock seconds.
        model: name or path of the model.
        model_hash: hash of its weights and preprocessing.
    """

    splits: list[SplitOutcome]
    leaks: list[Leak]
    precision: float
    threshold: float
    store: Path
    compared: int
    uncompared: int
    hopeless: int
    model: str
    model_hash: str
    seconds: dict[str, float] = field(default_factory=dict)

    def thumbnails(self) -> ThumbnailFile:
        """Return the thumbnails by digest; the caller closes them."""
        return ThumbnailFile(self.store)

    def to_drop(self, side: Side) -> list[tuple[str, str]]:
        """List (split, path) of the files, sorted, without which none of these leaks is left.

        Args:
            side: of each leak, the file that goes.
        """
        if side == "train":
            return sorted({(leak.train_split, leak.train) for leak in self.leaks})
        return sorted({(leak.test_split, leak.test) for leak in self.leaks})

    def typed_path(self, path: str) -> str:
        """Return a path as its split was typed: relative if the argument was."""
        for outcome in self.splits:
            listing = outcome.split.listing
            inside = os.path.relpath(path, printable_name(str(listing.root)))
            if inside.split(os.sep)[0] != os.pardir:
                return os.path.normpath(printable_name(str(listing.typed_root / inside)))
        return path


def find_leaks(
    splits: Sequence[Split], options: ScanConfig, *, same_moment: bool, bar: Bar
) -> Leaks:
    """Compare every two splits.

    Args:
        splits: two or more.
        options: of the scans; ``photos`` and ``against`` are not read.
        same_moment: list frames of the same moment, too.
        bar: (label, unit) -> context manager that gives a progress function.

    Raises:
        UsageError: there is no such precision.
        AslError: no image could be read, or the cache is another file.
    """
    results: list[ScanResult] = []
    leaks: list[Leak] = []
    for train, test in combinations(splits, 2):
        result = scan_listings(
            test.listing,
            train.listing,
            options,
            bar=_named_bar(bar, train, test) if len(splits) > 2 else bar,
            also=may_be_same_moment if same_moment else lambda _: False,
        )
        results.append(result)
        leaks += _leaks_between(train, test, result)
    leaks.sort(key=lambda leak: (KINDS.index(leak.kind), -leak.probability, leak.train, leak.test))
    last = results[-1]
    return Leaks(
        _outcomes(splits, results),
        leaks,
        last.precision,
        last.threshold,
        last.store,
        sum(result.compared for result in results),
        sum(result.uncompared for result in results),
        sum(result.hopeless for result in results),
        last.model,
        last.model_hash,
        _seconds(results),
    )


def _named_bar(bar: Bar, train: Split, test: Split) -> Bar:
    return lambda label, unit: bar(f"{train.name} and {test.name}: {label}", unit)


def _seconds(results: Sequence[ScanResult]) -> dict[str, float]:
    steps = results[0].seconds
    return {step: round(sum(result.seconds[step] for result in results), 2) for step in steps}


def _outcomes(splits: Sequence[Split], results: Sequence[ScanResult]) -> list[SplitOutcome]:
    failures: dict[str, str] = {}
    usable: set[str] = set()
    for result in results:
        failures |= result.synced.failures
        usable |= result.synced.digests.keys()
    outcomes = []
    for split in splits:
        own = {name: failures[name] for name in split.names if name in failures}
        processed = sum(name in usable for name in split.names)
        outcomes.append(SplitOutcome(split, own | dict(split.listing.unreadable), processed))
    return outcomes


def _leaks_between(train: Split, test: Split, result: ScanResult) -> Iterator[Leak]:
    """Yield the leaks of one scan across two splits."""
    of_train, of_test = (_files_by_content(split, result) for split in (train, test))
    for digest in of_train.keys() & of_test.keys():
        for first, second in _named_pairs(of_train[digest], of_test[digest]):
            yield Leak(
                train.name,
                first,
                test.name,
                second,
                "identical file",
                1.0,
                "same file",
                "",
                (),
                "the same file, byte for byte",
                (digest, digest),
            )
    for pair in result.pairs:
        original, copy = result.images[pair.original], result.images[pair.copy]
        kind = _kind(pair, original, copy, threshold=result.threshold)
        if kind is None:
            continue
        # Each of the two contents may have files in both splits.
        for is_train_original in (True, False):
            ends = (original, copy) if is_train_original else (copy, original)
            for first, second in _named_pairs(
                of_train.get(ends[0].digest, []), of_test.get(ends[1].digest, [])
            ):
                yield Leak(
                    train.name,
                    first,
                    test.name,
                    second,
                    kind,
                    pair.verdict.same_moment if kind == "same moment" else pair.probability,
                    _direction(pair, kind, is_train_original=is_train_original),
                    pair.why if kind != "same moment" else "",
                    pair.verdict.edits if kind != "same moment" else (),
                    _reason(pair, train, test, is_train_original=is_train_original),
                    (ends[0].digest, ends[1].digest),
                )


def _files_by_content(split: Split, result: ScanResult) -> dict[str, list[str]]:
    files: dict[str, list[str]] = {}
    for name in split.names:
        digest = result.synced.digests.get(name)
        if digest:
            files.setdefault(digest, []).append(name)
    return files


def _named_pairs(train: Sequence[str], test: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pair the files of two contents so that every one is named, without all combinations.

    >>> list(_named_pairs(["a", "b", "c"], ["x", "y"]))
    [('a', 'x'), ('b', 'y'), ('c', 'x')]
    """
    if train and test:
        for first, second in zip_longest(train, test):
            yield first or train[0], second or test[0]


def _kind(
    pair: MatchedPair, original: ScanImage, copy: ScanImage, *, threshold: float
) -> Kind | None:
    """Return the kind of a leak; None where the pair does not leak."""
    if pair.probability < threshold:
        moment = may_be_same_moment(pair.verdict)
        apart = taken_apart(original.facts, copy.facts)
        return "same moment" if moment and not apart else None
    if original.facts.same_picture(copy.facts):
        return "same pixels"
    return "crop" if pair.verdict.share_first < FULL_COVER else "copy"


def _reason(pair: MatchedPair, train: Split, test: Split, *, is_train_original: bool) -> str:
    """Return the sentence on the shared content, with the names of the splits."""
    original, copy = (train, test) if is_train_original else (test, train)
    return reworded(
        pair.verdict.reason, query=f"{original.name} image", reference=f"{copy.name} image"
    )


def _direction(pair: MatchedPair, kind: Kind, *, is_train_original: bool) -> Direction:
    if kind == "same moment" or not pair.origin.clear:
        return "unclear"
    return "train->test" if is_train_original else "test->train"
