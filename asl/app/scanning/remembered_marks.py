"""Apply what people said of pairs in earlier reviews to the pairs of a scan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from asl.app.pairs.pair_marks import (
    ContentPair,
    PairMarks,
    content_pair,
    marks_path,
    read_marks,
)
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.pairs.pair_verifier import verifier_id
from asl.app.scanning.result import MatchedPair, ScanImage
from asl.scoring.library_calibration import LibraryCalibration

RowPair = tuple[int, int]
Value = TypeVar("Value")


@dataclass(eq=False)
class RememberedMarks:
    """Marks of earlier reviews and the calibration that follows from them.

    Attributes:
        marks: by content.
        calibration: of the probabilities; the packaged one unless there are enough answers.
    """

    marks: PairMarks = field(default_factory=PairMarks)
    calibration: LibraryCalibration = field(default_factory=LibraryCalibration)

    def __post_init__(self) -> None:
        self._left_out = self.marks.left_out()
        self._met: set[ContentPair] = set()

    @classmethod
    def read(cls, cache: Path, calibration: str) -> RememberedMarks:
        """Read the marks beside a cache.

        Args:
            cache: file of the cache, without the name of a model.
            calibration: ``library`` uses the answers, ``packaged`` does not.

        Raises:
            AslError: the file of the marks is damaged.
        """
        marks = read_marks(marks_path(cache))
        if calibration == "packaged":
            return cls(marks)
        return cls(marks, marks.calibration(verifier_id()))

    def probability(self, verdict: PairVerdict) -> float:
        """Return the calibrated probability of a verdict, 0..1."""
        if not self.calibration.answers:
            return verdict.probability
        return round(float(self.calibration.probability(verdict.probability)), 6)

    def without_marked(
        self, listed: Mapping[RowPair, Value], digests: Sequence[str]
    ) -> dict[RowPair, Value]:
        """Leave out pairs that were marked as no copies, or with both files to be kept.

        Args:
            listed: pairs of rows.
            digests: of the rows.
        """
        matching = {}
        for rows, value in listed.items():
            pair = content_pair(digests[rows[0]], digests[rows[1]])
            if pair in self._left_out:
                self._met.add(pair)
            else:
                matching[rows] = value
        return matching

    def keeps_all(self, digest: str) -> bool:
        """Check for a content whose identical files are all to be kept."""
        return (digest, digest) in self._left_out

    def counts(self, images: Sequence[ScanImage]) -> dict[str, int]:
        """Count by mark the pairs that were left out, and the images whose files are all kept."""
        kept = {(image.digest, image.digest) for image in images if image.keep_all}
        found = Counter(self._left_out[pair] for pair in self._met | kept)
        return {mark: found[mark] for mark in sorted(found)}

    def calibrate(self, pair: MatchedPair) -> MatchedPair:
        """Return a pair with the calibrated probability; the direction was decided before."""
        if not self.calibration.answers:
            return pair
        verdict = replace(
            pair.verdict,
            forward=round(float(self.calibration.probability(pair.verdict.forward)), 6),
            backward=round(float(self.calibration.probability(pair.verdict.backward)), 6),
        )
        return replace(pair, verdict=verdict, packaged=pair.probability)
