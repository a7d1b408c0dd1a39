"""Compare the files of a pair at full size before a rule may remove one; outcomes are kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asl.app.pairs.pair_verdict import Outline
from asl.app.reviewing.compression_bounds import share_within_steps
from asl.app.reviewing.lost_content import NOT_ALIGNED, OWN_DETAIL, lost_content
from asl.app.reviewing.review_groups import Member, ReviewFiles
from asl.app.scanning.result import ScanResult
from asl.data.images import ImageError, decode_image, read_file
from asl.storage import ReadError, read_json, write_json
from asl.types import Progress

UNCLEAR = "which of the two came first is unclear"
UNREAD = "could not be read, or changed since the scan"  # not kept: it may be there again
COMPARED_FILE = "compared.json"
_FORMAT = "asl-compared-2"  # raised when earlier outcomes must not be reused
# Share of coefficients within their steps: 160 copies that were saved again with quality 70 to 95
# have .961 and more, 160 near-still shots .909 at most.
_LEAST_WITHIN = 0.96
_MOST_APART = 0.02  # of the outlines of two pictures that show the same, as a share of the sides
_AT_ONCE = 4  # pairs, whose pixels are in memory
Key = tuple[str, str]  # contents: of the file that stays, of the one that would go


@dataclass(frozen=True)
class FilePair:
    """Two files of which one would go.

    Attributes:
        staying: path of the file that stays.
        going: path of the other.
        key: their contents.
        staying_outline: corners of the shared area in the picture that stays, as shares 0..1.
        going_outline: the same corners in the other one.
        clear: True if it is known that the file that goes was made from the one that stays.
    """

    staying: Path
    going: Path
    key: Key
    staying_outline: Outline
    going_outline: Outline
    clear: bool = True

    def turned(self) -> FilePair:
        """Return the pair with the other file as the one that stays."""
        return FilePair(
            self.going, self.staying, self.key[::-1], self.going_outline, self.staying_outline
        )


def file_pair(result: ScanResult, files: ReviewFiles, member: Member) -> FilePair:
    """Return a member that would go and its parent, which stays.

    Args:
        result: of the scan.
        files: its files.
        member: that has a parent and a pair.
    """
    if member.parent is None or member.pair is None:
        raise AssertionError("only a member that stands under another one is compared")
    staying, going = files[member.parent], files[member.file]
    verdict = result.pairs[member.pair].verdict
    outlines = verdict.first_outline, verdict.second_outline
    if result.pairs[member.pair].copy != going.image:
        outlines = outlines[::-1]
    digests = result.images[staying.image].digest, result.images[going.image].digest
    return FilePair(Path(staying.place), Path(going.place), digests, *outlines, member.clear)


def loss_of(pair: FilePair) -> str:
    """Return what would be lost with a file, for people; empty if nothing is."""
    try:
        contents = [read_file(path) for path in (pair.staying, pair.going)]
    except (ImageError, OSError):
        return UNREAD
    # An outcome counts for the contents that were scanned, not for what a path holds now.
    if tuple(hashlib.sha256(data).hexdigest() for data in contents) != pair.key:
        return UNREAD
    try:
        staying, going = map(decode_image, contents)
    except ImageError:
        return NOT_ALIGNED
    lost = lost_content(staying, going, pair.staying_outline, pair.going_outline)
    if lost not in ("", OWN_DETAIL):
        return lost
    mirrored = _mirrored(pair)
    if mirrored is None:
        return lost
    within = share_within_steps(contents[1], going, staying[:, ::-1] if mirrored else staying)
    if within is None:
        return lost
    # Of two pictures of one size the compression tells more than the eye sees.
    return "" if within >= _LEAST_WITHIN else OWN_DETAIL


def _mirrored(pair: FilePair) -> bool | None:
    """Return if one picture is the mirror image of the other; None where they differ by more."""
    staying, going = (
        np.array(outline or ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))
        for outline in (pair.staying_outline, pair.going_outline)
    )
    for mirrored in (False, True):
        expected = np.abs([float(mirrored), 0.0] - going)
        if staying.shape == going.shape and np.abs(staying - expected).max() < _MOST_APART:
            return mirrored
    return None


class LossCheck:
    """Find out what would be lost with files, once for each pair of contents."""

    def __init__(self, folder: Path | None = None) -> None:
        """Start with the outcomes of earlier reviews.

        Args:
            folder: of the scan, which keeps the outcomes; None keeps nothing.
        """
        self._path = folder / COMPARED_FILE if folder is not None else None
        self._known: dict[Key, str] = {}
        if self._path is not None and self._path.exists():
            self._known = _read(self._path)

    def compare(self, pairs: Sequence[FilePair], progress: Progress | None = None) -> None:
        """Compare pairs that are not known yet, in threads, and keep the outcomes.

        Raises:
            WriteError: they cannot be kept.
        """
        before = self._kept()
        self._compare(pairs, progress)
        turned = [pair.turned() for pair in pairs if not pair.clear and not self._known[pair.key]]
        self._compare(turned, progress)
        kept = self._kept()
        if self._path is not None and kept != before:
            outcomes = [[*key, lost] for key, lost in kept.items()]
            write_json(self._path, {"format": _FORMAT, "pairs": outcomes})

    def _compare(self, pairs: Sequence[FilePair], progress: Progress | None) -> None:
        kept = self._kept()
        fresh = list({pair.key: pair for pair in pairs if pair.key not in kept}.values())
        with ThreadPoolExecutor(min(_AT_ONCE, os.cpu_count() or 1)) as threads:
            for done, (pair, lost) in enumerate(
                zip(fresh, threads.map(loss_of, fresh), strict=True), start=1
            ):
                self._known[pair.key] = lost
                if progress:
                    progress(done, len(fresh))

    def __call__(self, pair: FilePair) -> str:
        """Return why a file may not go without a person; empty if nothing is lost with it.

        Where the direction is unclear, the file has to follow from the one that stays, and not the
        other way round: then that one is the original.
        """
        lost = self._loss(pair)
        if lost or pair.clear:
            return lost
        turned = self._loss(pair.turned())
        if turned == UNREAD:
            return UNREAD
        # What could not be compared proves nothing.
        return UNCLEAR if turned in ("", NOT_ALIGNED) else ""

    def _kept(self) -> dict[Key, str]:
        return {key: lost for key, lost in self._known.items() if lost != UNREAD}

    def _loss(self, pair: FilePair) -> str:
        if pair.key not in self._known:
            self._known[pair.key] = loss_of(pair)
        return self._known[pair.key]


def _read(path: Path) -> dict[Key, str]:
    """Read outcomes; a damaged file counts as missing, for everything can be compared again."""
    try:
        raw = read_json(path, remedy="delete it")
        if raw["format"] != _FORMAT:
            return {}
        return {(str(first), str(second)): str(lost) for first, second, lost in raw["pairs"]}
    except (ReadError, KeyError, TypeError, ValueError):
        return {}
