"""Marks that people set on pairs, remembered by content: copy, not a copy, keep both.

They are kept beside the cache of a scan. The next scan leaves out pairs that are no copies, or are
both to be kept, and calibrates its probabilities by the answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from asl.scoring.library_calibration import LibraryCalibration, recalibrate
from asl.storage import read_json, write_json
from asl.types import AslError

Mark = Literal["copy", "not a copy", "keep both", "unsure"]
ContentPair = tuple[str, str]  # digests in rising order
MARKS: tuple[str, ...] = get_args(Mark)
ANSWERS = ("copy", "not a copy")
LEFT_OUT = ("not a copy", "keep both")  # of the next scan
LEAST_ANSWERS = 10  # below, the packaged calibration is used
FORMAT = "asl-pair-marks-1"
REMEDY = "copy it from a backup, or delete it to forget the marks"


@dataclass(frozen=True)
class PairMark:
    """One mark.

    Attributes:
        first: SHA-256 of the one file; the smaller of the two digests.
        second: of the other; the same where identical files are marked.
        mark: what was said of the pair.
        probability: of the packaged calibration, 0..1, when the mark was set.
        verifier: that gave the probability.
        asked: True if the pair was chosen by its probability alone, so that the mark is an answer
            that calibrates.
        at: time, ISO 8601.
    """

    first: str
    second: str
    mark: str
    probability: float
    verifier: str
    asked: bool = False
    at: str = ""

    @property
    def pair(self) -> ContentPair:
        """Key of the pair."""
        return self.first, self.second


def content_pair(one: str, other: str) -> ContentPair:
    """Return two digests in the order of a key."""
    return (one, other) if one <= other else (other, one)


class PairMarks:
    """Marks of a collection, one per pair: the last one counts."""

    def __init__(self, marks: Iterable[PairMark] = ()) -> None:
        """Take marks in the order in which they were set."""
        self._marks: dict[ContentPair, PairMark] = {}
        for mark in marks:
            self.put(mark)

    def __len__(self) -> int:
        return len(self._marks)

    def __iter__(self) -> Iterator[PairMark]:
        return iter(self._marks.values())

    def get(self, pair: ContentPair) -> PairMark | None:
        """Return the mark of a pair; None if it has none."""
        return self._marks.get(pair)

    def put(self, mark: PairMark) -> None:
        """Set a mark in place of an earlier one of the pair."""
        if mark.mark not in MARKS:
            raise AslError(f"mark: expected one of {', '.join(MARKS)}, got {mark.mark!r}")
        self._marks.pop(mark.pair, None)
        when = mark.at or datetime.now(UTC).isoformat(timespec="seconds")
        self._marks[mark.pair] = replace(mark, at=when)

    def remove(self, pair: ContentPair) -> None:
        """Forget the mark of a pair, if it has one."""
        self._marks.pop(pair, None)

    def left_out(self) -> dict[ContentPair, str]:
        """Return pairs that the next scan leaves out, with their mark."""
        return {mark.pair: mark.mark for mark in self if mark.mark in LEFT_OUT}

    def answers(self, verifier: str) -> list[PairMark]:
        """Return the marks that calibrate the probabilities of a verifier."""
        return [
            mark
            for mark in self
            if mark.asked
            and mark.verifier == verifier
            and mark.mark in ANSWERS
            and mark.first != mark.second
        ]

    def calibration(self, verifier: str) -> LibraryCalibration:
        """Fit the calibration to the answers; the packaged one where they are too few."""
        answers = self.answers(verifier)
        if len(answers) < LEAST_ANSWERS:
            return LibraryCalibration()
        return recalibrate(
            [mark.probability for mark in answers], [mark.mark == "copy" for mark in answers]
        )

    def counts(self) -> dict[str, int]:
        """Number of marks of each kind."""
        return dict(Counter(mark.mark for mark in self))


def read_marks(path: Path) -> PairMarks:
    """Read marks; none where there is no such file.

    Raises:
        AslError: the file is damaged.
    """
    if not path.exists():
        return PairMarks()
    raw = read_json(path, remedy=REMEDY)
    try:
        if raw["format"] != FORMAT:
            raise ValueError(f"its format is {raw['format']!r}, expected {FORMAT!r}")
        return PairMarks(_mark(entry) for entry in raw["marks"])
    except (AslError, KeyError, TypeError, ValueError) as error:
        raise AslError(f"{path}: damaged ({error}); {REMEDY}") from error


def _mark(entry: dict[str, Any]) -> PairMark:
    mark = PairMark(**entry)
    if not 0 <= mark.probability <= 1:
        raise ValueError(f"a probability is {mark.probability}")
    return mark


def write_marks(marks: PairMarks, path: Path) -> None:
    """Write marks, sealed; no file where there are none and was none."""
    if len(marks) or path.exists():
        write_json(path, {"format": FORMAT, "marks": [asdict(mark) for mark in marks]})


def marks_path(cache: Path) -> Path:
    """Return the file of the marks beside a cache, the same for every model.

    >>> marks_path(Path("asl-scan/cache.sqlite")).as_posix()
    'asl-scan/cache-marks.json'
    """
    return cache.with_name(f"{cache.stem}-marks.json")
