"""Compare two files and keep everything that the answer rests on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np

from asl.app.explaining.aligned_pictures import (
    AlignedPictures,
    Placement,
    align_pictures,
    picture,
)
from asl.app.library.facts import Facts
from asl.app.library.ingest import Ingestor
from asl.app.matches import Match
from asl.app.pairs.origin import Vote, origin_votes
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.pairs.pair_verifier import PairVerifier
from asl.app.pairs.same_moment import may_be_same_moment, taken_apart
from asl.app.query import Candidate, Query, match_candidate, verdict_of
from asl.data.images import ImageError, read_file
from asl.matching.decision.thresholds import threshold_for, verifier_table
from asl.matching.evidence.examine import Findings, examine
from asl.matching.values import Settings
from asl.storage import printable_name
from asl.types import U8, AslError, UsageError

Conclusion = Literal["same file", "copy", "possible copy", "same moment", "no copy"]


@dataclass(frozen=True, eq=False)
class ExaminedFile:
    """One of the two files.

    Attributes:
        name: path as it was typed.
        sha256: of its bytes, hexadecimal.
        facts: of the file.
        modified: time of its last change, UTC.
        log_norm: ln |f|; the image with the larger one holds more of the original.
        picture: uint8 ``[h, w, 3]`` RGB, reduced.
    """

    name: str
    sha256: str
    facts: Facts
    modified: datetime
    log_norm: float
    picture: U8


@dataclass(frozen=True, eq=False)
class Explanation:
    """The comparison of two files.

    Attributes:
        first: the file that was named first.
        second: the other one.
        match: with the first as the query and the second as the reference.
        verdict: of the pair (first, second).
        cues: (log-odds, cue), strongest first: positive for the second as the original.
        evidence: measurement of the verifier -> value, in the surer direction; empty where the
            files or their pixels are the same.
        aligned: both pictures on the copy's grid; None without an alignment.
        precision: that was asked for.
        threshold: probability from which on a pair is accepted for it.
        model: name or path of the model.
        model_hash: hash of its weights and preprocessing.
    """

    first: ExaminedFile
    second: ExaminedFile
    match: Match
    verdict: PairVerdict
    cues: tuple[Vote, ...]
    evidence: dict[str, float]
    aligned: AlignedPictures | None
    precision: float
    threshold: float
    model: str
    model_hash: str

    @property
    def original(self) -> ExaminedFile | None:
        """The original; None where the direction is unclear, or there is no copy."""
        if self.conclusion not in ("copy", "possible copy"):
            return None
        return {"reference->query": self.second, "query->reference": self.first}.get(
            self.match.direction
        )

    @property
    def conclusion(self) -> Conclusion:
        """The answer in one or two words."""
        if self.verdict.identical:
            return "same file"
        if self.match.accepted:
            return "copy"
        if self.match.probability >= 0.5:
            return "possible copy"
        moment = may_be_same_moment(self.verdict)
        if moment and not taken_apart(self.first.facts, self.second.facts):
            return "same moment"
        return "no copy"

    @property
    def reason(self) -> str:
        """One sentence on the content that the two share, or why they do not match."""
        names = {"query": self.first.name, "reference": self.second.name}
        return re.sub(
            r"(?:the )?\b(query|reference)\b",
            lambda match: names[match[1]],
            self.verdict.reason,
        )

    @property
    def sentence(self) -> str:
        """The answer in a sentence."""
        first, second = self.first.name, self.second.name
        if self.conclusion == "same file":
            return f"{first} and {second} are the same file, byte for byte"
        if self.conclusion == "same moment":
            return f"{first} and {second} show the same scene, but neither is a copy of the other"
        if self.conclusion == "no copy":
            return f"Neither of {first} and {second} is a copy of the other"
        word = "is" if self.conclusion == "copy" else "may be"
        original = self.original
        if original is None:
            return f"One of {first} and {second} {word} a copy of the other; which one is unclear"
        copy = first if original is self.second else second
        return f"{copy} {word} a copy of {original.name}"

    @property
    def precisions(self) -> list[tuple[float, float, bool]]:
        """(precision, threshold, accepted) of every precision that was measured."""
        return [
            (precision, threshold, self.match.probability >= threshold)
            for precision, threshold in verifier_table()
        ]


def explain_pair(
    first: Path,
    second: Path,
    *,
    model: str,
    precision: float,
    device: str = "auto",
    max_pixels: int,
) -> Explanation:
    """Compare two image files.

    Args:
        first: one file.
        second: the other one; their order has no influence on the answer.
        model: for the embeddings; the decision is the verifier's, from the aligned pixels.
        precision: share of accepted pairs that are right.
        device: ``auto``, ``cpu``, ``cuda``.
        max_pixels: larger images are refused.

    Raises:
        UsageError: there is no such file, precision or model.
        AslError: a file is no usable image; it is named.
    """
    threshold = threshold_for(precision)
    data = [_read(path) for path in (first, second)]
    ingestor = Ingestor(model, device=device, max_pixels=max_pixels)
    thumbnails: dict[str, bytes] = {}
    verifier = PairVerifier(thumbnails.__getitem__)
    queries = [
        _embed(path, encoded, ingestor, verifier)
        for path, encoded in zip((first, second), data, strict=True)
    ]
    thumbnails.update({query.digest: query.thumbnail for query in queries})
    one, other = queries
    candidate = Candidate(
        second.name, other.digest, other.facts, other.vectors[0], other.log_norm, str(second)
    )
    match = match_candidate(one, candidate, verifier, score=ingestor.score, threshold=threshold)
    verdict = verdict_of(one, candidate, verifier)
    pixels = [picture(encoded, max_pixels=max_pixels) for encoded in data]
    is_first_copy = match.direction == "reference->query" or (
        match.direction == "unclear" and verdict.forward >= verdict.backward
    )
    copy, original = (0, 1) if is_first_copy else (1, 0)
    findings = _findings(queries[copy], queries[original], verdict)
    placement = _placement(queries[copy], queries[original], findings)
    aligned = None
    if placement:
        aligned = align_pictures(
            pixels[copy], pixels[original], placement, is_first_copy=is_first_copy
        )
    examined = [
        _examined(path, query, shown)
        for path, query, shown in zip((first, second), queries, pixels, strict=True)
    ]
    return Explanation(
        examined[0],
        examined[1],
        match,
        verdict,
        _cues(one, other, verdict),
        {} if findings is None else _values(findings),
        aligned,
        precision,
        threshold,
        model,
        ingestor.hash,
    )


def _read(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ImageError as error:
        raise UsageError(f"{path}: {error.reason}; name an image file") from error


def _embed(path: Path, data: bytes, ingestor: Ingestor, verifier: PairVerifier) -> Query:
    try:
        return Query.from_bytes(data, ingestor, verifier)
    except AslError as error:
        raise AslError(f"{path}: no usable image ({error})") from error


def _examined(path: Path, query: Query, pixels: U8) -> ExaminedFile:
    modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return ExaminedFile(
        printable_name(str(path)), query.digest, query.facts, modified, query.log_norm, pixels
    )


def _findings(copy: Query, original: Query, verdict: PairVerdict) -> Findings | None:
    """Align a pair again, to show it; None where its pixels are the same."""
    same = verdict.identical or copy.facts.same_picture(original.facts)
    return None if same else examine(copy.prepared, original.prepared, Settings())


def _placement(copy: Query, original: Query, findings: Findings | None) -> Placement | None:
    """Return the place of the original in the copy; None without an alignment."""
    if findings is None:
        return Placement(np.eye(3), copy.prepared.shape, original.prepared.shape)
    if not findings.alignments:
        return None
    matrix = findings.alignments[0].matrix
    return Placement(matrix, copy.prepared.shape, original.prepared.shape)


def _values(findings: Findings) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in vars(findings.evidence).items()}


def _cues(one: Query, other: Query, verdict: PairVerdict) -> tuple[Vote, ...]:
    if verdict.identical:
        return ()
    votes = origin_votes(
        verdict,
        one.facts,
        other.facts,
        first_log_norm=one.log_norm,
        second_log_norm=other.log_norm,
    )
    return tuple(sorted(votes, key=lambda vote: -abs(vote[0])))
