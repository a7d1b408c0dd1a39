"""Plan of a removal: files that would go, and files that are refused, with the reason."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asl.app.reviewing.decisions import Decisions
from asl.app.reviewing.review_groups import ReviewFiles, ReviewGroup
from asl.app.scanning.result import ScanResult
from asl.storage import checksum, file_stamp
from asl.types import AslError

Inode = tuple[int, int]


@dataclass(frozen=True)
class PlannedMove:
    """A file that would go.

    Attributes:
        path: absolute path on the disk.
        digest: SHA-256 of its content, which was compared.
        bytes: its size.
        by: ``hand``, or the rule that decided.
    """

    path: str
    digest: str
    bytes: int
    by: str


@dataclass(frozen=True)
class Refusal:
    """A file that was to go and stays.

    Attributes:
        path: absolute path.
        reason: for people.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class RemovalPlan:
    """A dry run: decided = moves + refused + kept.

    Attributes:
        moves: files that would go.
        refused: files that were to go and stay.
        kept: number of files that people or rules decided to keep.
    """

    moves: tuple[PlannedMove, ...]
    refused: tuple[Refusal, ...]
    kept: int

    @property
    def decided(self) -> int:
        """Number of files that were decided about."""
        return len(self.moves) + len(self.refused) + self.kept

    @property
    def bytes(self) -> int:
        """Space that the moves win."""
        return sum(move.bytes for move in self.moves)

    @property
    def code(self) -> str:
        """Word that confirms exactly this list; another list has another one."""
        text = "\n".join(f"{move.digest} {move.path}" for move in self.moves)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


class ContentCheck:
    """Compare files with the content that they had when they were scanned.

    A file that was compared is not read again as long as size and time of its last change stay.
    """

    def __init__(self) -> None:
        self._compared: dict[str, tuple[str, str]] = {}

    def problem(self, path: str, digest: str) -> str:
        """Return why a file is not the one that was scanned; empty if it is."""
        try:
            stamp = file_stamp(path)
            if not os.path.isfile(path):
                return "is no file any more"
            if self._compared.get(path, ("", ""))[0] != stamp:
                self._compared[path] = (stamp, checksum(path, remedy="scan again"))
        except FileNotFoundError:
            return "is not there any more"
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        except AslError as error:
            return str(error)
        return "" if self._compared[path][1] == digest else "changed since the scan; scan again"


def plan_removal(
    result: ScanResult,
    files: ReviewFiles,
    groups: Sequence[ReviewGroup],
    decisions: Decisions,
    *,
    check: ContentCheck,
    progress: Callable[[int, int], None] | None = None,
) -> RemovalPlan:
    """Plan what the decisions ask for; nothing is changed.

    A file goes only if it has the content that was scanned, and if at least one file of each of its
    groups stays that has its scanned content, too.

    Args:
        result: of the scan.
        files: its files.
        groups: today's groups; decisions about files outside of them do not count.
        decisions: by path.
        check: remembers what was compared.
        progress: called with (files compared, files to compare).
    """
    grouped = dict.fromkeys(number for group in groups for number in group.files)
    decided = {number: decisions.get(files[number].path) for number in grouped}
    leaving = [number for number, choice in decided.items() if choice and not choice.keep]
    kept = sum(1 for choice in decided.values() if choice and choice.keep)
    compared = _Compared(result, files, check)
    for done, number in enumerate(leaving, start=1):
        compared.problem(number)
        if progress:
            progress(done, len(leaving))
    reasons = {number: reason for number in leaving if (reason := _reason(compared, number))}
    leaves, going = set(leaving), set(leaving) - set(reasons)
    for group in groups:
        mine = [number for number in group.files if number in going]
        rest = [number for number in group.files if number not in leaves]
        if mine and not compared.one_stays(rest, mine):
            why = (
                "no other file of its group would stay; keep one"
                if not rest
                else "the files of its group that stay are gone or changed; scan again"
            )
            reasons.update(dict.fromkeys(mine, why))
    moves = []
    for number in leaving:
        choice = decided[number]
        if number not in reasons and choice is not None:
            image = result.images[files[number].image]
            path = files[number].place
            moves.append(PlannedMove(path, image.digest, image.facts.bytes, choice.by))
    refused = tuple(Refusal(files[number].path, reason) for number, reason in reasons.items())
    return RemovalPlan(tuple(moves), refused, kept)


def _reason(compared: _Compared, number: int) -> str:
    if compared.files[number].in_library:
        return "belongs to the library, which is not changed"
    return compared.problem(number)


class _Compared:
    """Files compared with the scan, each once."""

    def __init__(self, result: ScanResult, files: ReviewFiles, check: ContentCheck) -> None:
        self.files = files
        self._result, self._check = result, check

    def problem(self, number: int) -> str:
        file = self.files[number]
        return self._check.problem(file.place, self._result.images[file.image].digest)

    def one_stays(self, rest: Sequence[int], going: Sequence[int]) -> bool:
        """Check that a file stays, under an inode of its own; links do not count."""
        inodes = {self._inode(number) for number in going}
        return any(
            not self.problem(number) and self._inode(number) not in inodes for number in rest
        )

    def _inode(self, number: int) -> Inode | int:
        try:
            status = os.stat(Path(self.files[number].place))
        except OSError:
            return -1 - number
        return (status.st_dev, status.st_ino) if status.st_ino else -1 - number
