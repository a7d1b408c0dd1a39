"""Rules that choose which files of a group stay: the original, the largest, the oldest, a folder.

No rule removes an original: the root of a group stays, and so does a file of a library, and a
picture that shows much else beside its original (a collage, a screenshot of a page), or has a RAW,
a video or a sidecar of its shot beside it. A rule decides only what it can tell, from pairs that
are surer than a list of copies needs, and only where the pixels of both files show that nothing is
lost (:mod:`asl.app.reviewing.lost_content`); the rest is left to people, with the reason.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from asl.app.library.shots import ShotFiles
from asl.app.reviewing.loss_check import FilePair, LossCheck, file_pair
from asl.app.reviewing.lost_content import SHOWS_MORE
from asl.app.reviewing.review_groups import Member, ReviewFiles, ReviewGroup
from asl.app.scanning.result import ScanResult
from asl.errors import UsageError
from asl.matching.decision.thresholds import threshold_for

RuleName = Literal["keep-original", "keep-largest", "keep-oldest", "keep-folder"]
RULES: tuple[str, ...] = get_args(RuleName)
RULE_PRECISION = 0.99  # whose threshold a pair has to reach
LEAST_COVERED = 0.75  # share of a picture that its original has to show
Outcome = dict[int, bool]  # number of a file -> True where it stays
Reasons = dict[int, str]  # number of a file -> why a rule leaves it to people

UNSURE = "not certain enough to be a copy"
MOMENT = "may be another shot of the same moment"
SHOT_FILES = "a RAW, a video or a sidecar of its shot lies beside it"


@dataclass(frozen=True, eq=False)
class RuleInput:
    """Facts that rules look at.

    Attributes:
        result: of the scan.
        files: its files.
        folder: of ``keep-folder``, absolute.
        shots: finds a RAW, a video or a sidecar that belongs to a photo.
        losses: what would be lost with a file.
    """

    result: ScanResult
    files: ReviewFiles
    folder: Path | None = None
    shots: ShotFiles = field(default_factory=ShotFiles)
    losses: Callable[[FilePair], str] = field(default_factory=LossCheck)

    def content_rank(self, number: int) -> tuple[int, int]:
        """Pixels and bytes of a file: the larger one is the better picture."""
        facts = self.result.images[self.files[number].image].facts
        return facts.pixels, facts.bytes

    def in_folder(self, number: int) -> bool:
        """Check that a file is in the folder, at any depth."""
        folder = self.folder
        return folder is not None and Path(self.files[number].place).is_relative_to(folder)

    def changed(self, number: int) -> float:
        """Modification time of a file; infinite where it cannot be read."""
        try:
            return os.stat(self.files[number].place).st_mtime
        except OSError:
            return float("inf")


def check_rule(name: str, folder: Path | None) -> None:
    """Refuse a rule that does not exist, or lacks its folder.

    Raises:
        UsageError: naming the rules, or the key that is missing.
    """
    if name not in RULES:
        raise UsageError(f"rule: expected one of {', '.join(RULES)}, got {name!r}")
    if name == "keep-folder" and folder is None:
        raise UsageError("rule: keep-folder needs --folder, whose files stay")


@dataclass(frozen=True)
class RuleOutcome:
    """Outcome of rules.

    Attributes:
        decided: file -> (True where it stays, name of the rule).
        left: file -> why the rules leave it to people; only of files that stand under another one.
    """

    decided: dict[int, tuple[bool, str]]
    left: Reasons


def apply_rule(name: str, group: ReviewGroup, known: RuleInput) -> tuple[Outcome, Reasons]:
    """Decide about the files of a group; shots of one moment are left to people.

    Args:
        name: of the rule.
        group: whose files are decided about.
        known: facts of the files.

    Returns:
        The files that the rule decides about; True where the file stays. At least one file of the
        group stays, and the original is never among those that go. And the files that it leaves.
    """
    chosen = set() if group.kind == "same moment" else _CHOICES[name](group, known)
    if not chosen:
        return {}, {}
    kept = chosen | {_original(group, known, chosen)}
    outcome, left = dict.fromkeys(kept, True), {}
    for member in group.members:
        if member.file in kept or known.files[member.file].in_library:
            continue
        reason = _doubt(member, group, known)
        if reason:
            left[member.file] = reason
        else:
            outcome[member.file] = False
    return outcome, left


def _original(group: ReviewGroup, known: RuleInput, chosen: Collection[int]) -> int:
    """Return the file that holds the original: one that stays anyway, or else the root."""
    image = known.files[group.root].image
    identical = [number for number in group.files if known.files[number].image == image]
    return next((number for number in identical if number in chosen), group.root)


def _doubt(member: Member, group: ReviewGroup, known: RuleInput) -> str:
    """Return why a rule cannot tell; empty if it can.

    A pair that is listed may still be two shots of one scene: to act takes more certainty.
    """
    # A photo with a RAW or a video of the same shot would leave that behind: people decide.
    if known.shots.beside(known.files[member.file].path):
        return SHOT_FILES
    steps = list(_steps(member, group))
    if any(step.probability < threshold_for(RULE_PRECISION) for step in steps):
        return UNSURE
    if any(_is_moment(step, known) for step in steps):
        return MOMENT
    if math.prod(step.covered for step in steps) < LEAST_COVERED:
        return SHOWS_MORE
    losses = (
        known.losses(file_pair(known.result, known.files, step))
        for step in steps
        if step.pair is not None
    )
    return next(filter(None, losses), "")


def _steps(member: Member, group: ReviewGroup) -> Iterator[Member]:
    """Yield a member, its parent, the parent of that ... up to the root."""
    by_file = {other.file: other for other in group.members}
    step: Member | None = member
    while step is not None:
        yield step
        step = None if step.parent is None else by_file.get(step.parent)


def _is_moment(member: Member, known: RuleInput) -> bool:
    return member.pair is not None and known.result.pairs[member.pair].same_moment


def pairs_to_compare(
    groups: Sequence[ReviewGroup],
    known: RuleInput,
    *,
    before: Mapping[int, bool],
    shown: Collection[int] | None = None,
) -> list[FilePair]:
    """List the pairs whose pixels rules will ask for.

    Args:
        groups: as in :func:`apply_rules`, like the others.
        known: facts of the files.
        before: files that are decided.
        shown: files that may be decided about; None for all.
    """
    certain = threshold_for(RULE_PRECISION)
    return [
        file_pair(known.result, known.files, member)
        for group in groups
        if group.kind != "same moment"
        for member in group.members
        if member.pair is not None
        and member.parent is not None
        and member.probability >= certain
        and member.file not in before
        and (shown is None or member.file in shown)
    ]


def _keep_original(group: ReviewGroup, known: RuleInput) -> set[int]:
    return {group.root}


def _keep_largest(group: ReviewGroup, known: RuleInput) -> set[int]:
    return {max(group.files, key=known.content_rank)}  # of equals the first, which is the root


def _keep_oldest(group: ReviewGroup, known: RuleInput) -> set[int]:
    return {min(group.files, key=known.changed)}


def _keep_folder(group: ReviewGroup, known: RuleInput) -> set[int]:
    return {number for number in group.files if known.in_folder(number)}


_CHOICES: dict[str, Callable[[ReviewGroup, RuleInput], set[int]]] = {
    "keep-original": _keep_original,
    "keep-largest": _keep_largest,
    "keep-oldest": _keep_oldest,
    "keep-folder": _keep_folder,
}


def apply_rules(
    names: Sequence[str],
    groups: Sequence[ReviewGroup],
    known: RuleInput,
    *,
    before: Mapping[int, bool],
    shown: Collection[int] | None = None,
) -> RuleOutcome:
    """Apply rules to groups, one after the other; the first that decides about a file counts.

    Args:
        names: of the rules.
        groups: all groups of the review.
        known: facts of the files.
        before: files that are decided, True where the file stays; they are left alone.
        shown: files that may be decided about; None for all.

    Returns:
        What is decided, and what is left.
    """
    decided: dict[int, tuple[bool, str]] = {}
    left: Reasons = {}
    roots = {group.root for group in groups}
    for group in groups:
        mine: dict[int, tuple[bool, str]] = {}
        for name in names:
            outcome, doubts = apply_rule(name, group, known)
            left.update(doubts)
            for number, stays in outcome.items():
                # The root of another group is an original, too.
                is_original = number in roots and number != group.root
                if number in before or (is_original and not stays):
                    continue
                if shown is None or number in shown:
                    mine.setdefault(number, (stays, name))
        for number, decision in mine.items():
            # Of two groups, the one that keeps a file counts.
            if decision[0] or number not in decided:
                decided[number] = decision
    for group in groups:
        rest = [decided.get(n, (True,))[0] and before.get(n, True) for n in group.files]
        if not any(rest):  # the rest was to go before
            for number in group.files:
                decided.pop(number, None)
    open_files = {
        number: reason
        for number, reason in left.items()
        if number not in decided and number not in before and (shown is None or number in shown)
    }
    return RuleOutcome(decided, open_files)
