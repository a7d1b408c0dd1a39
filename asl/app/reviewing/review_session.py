"""A review: the result of a scan, decisions, marks, and the steps that can be undone."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asl.app.pairs.pair_marks import (
    ContentPair,
    PairMark,
    content_pair,
    read_marks,
    write_marks,
)
from asl.app.pairs.pair_verifier import verifier_id
from asl.app.reviewing.decisions import (
    BY_HAND,
    DECISIONS_FILE,
    Decision,
    read_decisions,
    write_decisions,
)
from asl.app.reviewing.keep_rules import RuleInput, apply_rules, check_rule, pairs_to_compare
from asl.app.reviewing.loss_check import LossCheck
from asl.app.reviewing.question_queue import Question, next_question, question_queue
from asl.app.reviewing.removal_log import Removed, Restored, remove, undo_removal
from asl.app.reviewing.removal_plan import ContentCheck, RemovalPlan, plan_removal
from asl.app.reviewing.review_groups import ReviewFiles, ReviewGroup, review_groups
from asl.app.scanning.scan_file import SCAN_FILE, read_scan
from asl.counts import counted
from asl.scoring.library_calibration import LibraryCalibration
from asl.storage import no_folder, printable_name
from asl.types import AslError, Progress, UsageError


@dataclass(frozen=True)
class _Step:
    """Decisions and marks that a step changed, as they were before."""

    decisions: Mapping[str, Decision | None]
    marks: Mapping[ContentPair, PairMark | None]


@dataclass(frozen=True)
class RulesApplied:
    """Counts of what rules did.

    Attributes:
        going: files that are to go.
        staying: files that are to stay.
        left: number of a file -> why it was left to people.
    """

    going: int
    staying: int
    left: Mapping[int, str]

    @property
    def left_in_words(self) -> str:
        """Return how many files are left and why, most first; empty if none is."""
        if not self.left:
            return ""
        counts = Counter(self.left.values()).most_common()
        reasons = "; ".join(f"{count}: {reason}" for reason, count in counts)
        return f"{len(self.left)} left to you ({reasons})"


class ReviewSession:
    """A review of one scan; safe to use from several threads.

    Attributes:
        folder: of the scan's results.
        result: of the scan.
        files: of the groups.
        groups: today's, without the pairs that were marked.
        decisions: by path.
        marks: by content.
    """

    def __init__(self, folder: Path) -> None:
        """Open the results of a scan.

        Raises:
            UsageError: the folder holds no scan.
            AslError: a file is damaged.
        """
        if not (folder / SCAN_FILE).is_file():
            raise UsageError(
                f"{folder}: holds no {SCAN_FILE}; give the folder that `asl scan` wrote, "
                "e.g. asl-scan"
            )
        self.folder = folder
        self.result = read_scan(folder / SCAN_FILE)
        self.files = ReviewFiles(self.result)
        self.marks = read_marks(self.result.marks)
        stored = read_decisions(folder / DECISIONS_FILE)
        self.decisions = stored.of_contents(self.result.synced.digests)
        # Of other photos, or of files as they were: a scan that finds them again counts them.
        self._aside = stored.others(self.result.synced.digests)
        self.groups = self._regrouped()
        self._check = ContentCheck()
        self._losses = LossCheck(folder)
        self._steps: list[_Step] = []
        self._lock = threading.RLock()

    def _regrouped(self) -> list[ReviewGroup]:
        return review_groups(self.result, self.files, self.marks.left_out())

    @property
    def set_aside(self) -> int:
        """Number of stored decisions about files whose content the scan does not know."""
        return len(self._aside)

    @property
    def root(self) -> Path:
        """Absolute folder of the photos."""
        return self.result.root

    @property
    def can_undo(self) -> bool:
        """True if there is a step to undo."""
        return bool(self._steps)

    def digest(self, number: int) -> str:
        """Return the content of a file as it was scanned."""
        return self.result.images[self.files[number].image].digest

    def decide(self, numbers: Collection[int], keep: bool | None) -> None:
        """Decide about files by hand, or take decisions back (None).

        Raises:
            UsageError: there is no such file.
        """
        with self._lock:
            chosen = {
                self.files.checked(number).path: (
                    None if keep is None else Decision(keep, BY_HAND, self.digest(number))
                )
                for number in numbers
            }
            self._change(chosen)

    def by_rules(
        self,
        names: Sequence[str],
        *,
        folder: Path | None = None,
        shown: Collection[int] | None = None,
        store: bool = True,
        progress: Progress | None = None,
    ) -> RulesApplied:
        """Let rules decide about files that neither people nor earlier rules decided about.

        Args:
            names: of the rules; the first that decides about a file counts.
            folder: of ``keep-folder``.
            shown: files that may be decided about; None for all.
            store: write the decisions.
            progress: called with (pairs compared at full size, pairs to compare).

        Raises:
            UsageError: there is no such rule, or it lacks its folder, or the folder has no file of
                the scan.
            WriteError: what was compared cannot be kept.
        """
        for name in names:
            check_rule(name, folder)
        with self._lock:
            before = {
                file.number: decision.keep
                for file in self.files.listed
                if (decision := self.decisions.get(file.path)) is not None
            }
            known = RuleInput(self.result, self.files, folder, losses=self._losses)
            if folder and not any(known.in_folder(file.number) for file in self.files.listed):
                raise UsageError(f"folder: no file of the scan is in {folder}; check the path")
            pairs = pairs_to_compare(self.groups, known, before=before, shown=shown)
            self._losses.compare(pairs, progress)
            outcome = apply_rules(names, self.groups, known, before=before, shown=shown)
            chosen: dict[str, Decision | None] = {
                self.files[number].path: Decision(stays, name, self.digest(number))
                for number, (stays, name) in outcome.decided.items()
            }
            self._change(chosen, store=store)
        going = sum(not stays for stays, _ in outcome.decided.values())
        return RulesApplied(going, len(outcome.decided) - going, outcome.left)

    def mark(self, pair: ContentPair, mark: str | None, *, asked: bool = False) -> None:
        """Mark a pair of contents, or forget its mark (None); pairs left out leave the groups.

        Raises:
            UsageError: the scan has no such pair.
        """
        with self._lock:
            pair = content_pair(*pair)
            probability = self._packaged().get(pair)
            if probability is None and not self._holds_twice(pair):
                raise UsageError(f"pair: the scan has no pair {pair[0][:8]}…, {pair[1][:8]}…")
            before = self.marks.get(pair)
            if mark is None:
                self.marks.remove(pair)
            else:
                # An answer stays an answer when it is corrected.
                asked = asked or (before is not None and before.asked)
                found = 1.0 if probability is None else probability
                self.marks.put(PairMark(*pair, mark, found, verifier_id(), asked))
            self._steps.append(_Step({}, {pair: before}))
            self._store_marks()

    def _packaged(self) -> dict[ContentPair, float]:
        images = self.result.images
        return {
            content_pair(
                images[pair.original].digest, images[pair.copy].digest
            ): pair.packaged_probability
            for pair in self.result.pairs
        }

    def _holds_twice(self, pair: ContentPair) -> bool:
        return pair[0] == pair[1] and any(
            image.digest == pair[0] and len(image.paths) > 1 for image in self.result.images
        )

    def undo(self) -> bool:
        """Take the last step back; False at the beginning."""
        with self._lock:
            if not self._steps:
                return False
            step = self._steps.pop()
            for path, decision in step.decisions.items():
                self.decisions.put(path, decision)
            for pair, mark in step.marks.items():
                self.marks.remove(pair)
                if mark is not None:
                    self.marks.put(mark)
            if step.decisions:
                self._store_decisions()
            if step.marks:
                self._store_marks()
            return True

    def _change(self, chosen: Mapping[str, Decision | None], *, store: bool = True) -> None:
        before = {path: self.decisions.get(path) for path in chosen}
        for path, decision in chosen.items():
            self.decisions.put(path, decision)
        if store and chosen:
            self._steps.append(_Step(before, {}))
            self._store_decisions()

    def _store_decisions(self) -> None:
        write_decisions(self.decisions.joined(self._aside), self.folder / DECISIONS_FILE)

    def _store_marks(self) -> None:
        write_marks(self.marks, self.result.marks)
        self.groups = self._regrouped()

    def question(self) -> Question | None:
        """Return the next pair to ask about; None at the end."""
        with self._lock:
            asked = [
                Question(pair, probability, row)
                for row, (pair, probability) in enumerate(self._packaged().items())
            ]
            listed = {question.pair for question in asked}
            # Pairs that earlier reviews left out belong to those that would be asked about.
            gone = [
                Question(mark.pair, mark.probability, None)
                for mark in self.marks
                if mark.pair not in listed and mark.first != mark.second
            ]
            before = sum(mark.asked for mark in self.marks)
            found = next_question(question_queue([*asked, *gone]), self.marks, verifier_id())
            if sum(mark.asked for mark in self.marks) > before:
                write_marks(self.marks, self.result.marks)
            return found

    def calibration(self) -> LibraryCalibration:
        """Fit the calibration that the next scan will use."""
        return self.marks.calibration(verifier_id())

    def plan(self, *, progress: Progress | None = None) -> RemovalPlan:
        """Return the dry run of today's decisions."""
        with self._lock:
            return plan_removal(
                self.result,
                self.files,
                self.groups,
                self.decisions,
                check=self._check,
                progress=progress,
            )

    def apply(
        self,
        code: str,
        *,
        command: str,
        into: Path | None = None,
        progress: Progress | None = None,
    ) -> Removed:
        """Move the files of the plan that a dry run showed.

        Args:
            code: of the plan that was shown.
            command: for the log.
            into: folder that takes the files; None for the trash.
            progress: called with (files done, files to do).

        Raises:
            UsageError: the plan is another one now, or ``into`` is inside the photos.
            WriteError: the log cannot be written.
        """
        with self._lock:
            if into is not None:
                self._check_place(into)
            plan = self.plan()
            if plan.code != code:
                raise UsageError(
                    f"the list is not the one that was confirmed ({code}): "
                    f"{counted(len(plan.moves), 'file')} would go now; look at the dry run again"
                )
            done = remove(
                plan,
                self.folder,
                into=into,
                root=self.root,
                command=command,
                check=self._check,
                progress=progress,
            )
            for move in done.moved:
                self.decisions.put(printable_name(move.path), None)
            self._steps.clear()
            self._store_decisions()
            return done

    def _check_place(self, into: Path) -> None:
        place = into.absolute()
        for folder, typed in self.result.roots:
            if place.is_relative_to(folder):
                raise UsageError(f"--into: {into} is inside {typed}, which the next scan reads")
        if into.exists() and not into.is_dir():
            raise UsageError(f"--into: {no_folder(into)}; choose another path")

    def undo_removal(self, *, progress: Progress | None = None) -> Restored:
        """Put the files of the last removal back.

        Raises:
            AslError: nothing was removed, or the log is damaged.
        """
        with self._lock:
            restored = undo_removal(self.folder, progress=progress)
        if restored is None:
            raise AslError(f"{self.folder}: nothing was removed here that could be put back")
        return restored
