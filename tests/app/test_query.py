"""A query and its comparison with one reference, with a verifier of one verdict."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from asl.app.library.facts import Facts
from asl.app.pairs.pair_verdict import SAME_FILE, SAME_PIXELS, PairVerdict
from asl.app.query import Candidate, Query, match_candidate
from asl.scoring.score import Score
from asl.types import AslError

UP, ASIDE = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
FACTS = Facts(400, 300, 1000, "JPEG", checksum=7, lost=(1.0, 2.0, 3.0, 4.0, 5.0))
OTHER = Facts(200, 150, 500, "JPEG", checksum=8, lost=(1.0, 2.0, 3.0, 4.0, 5.0))
CROP = PairVerdict(
    0.9,
    0.2,
    first_outline=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),
    second_outline=((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)),
    share_first=1.0,
    share_second=0.25,
    edits=("cropped to 25 %",),
    edits_forward=("cropped to 25 %",),
    reason="all of the query matches 25 % of the reference",
)


class Verifier:
    """Answer with one verdict and remember what was asked."""

    def __init__(self, verdict: PairVerdict = CROP) -> None:
        self.verdict = verdict
        self.asked: list[tuple[Any, str]] = []

    def prepare(self, thumbnail: bytes) -> Any:
        return ("prepared", thumbnail)

    def verify_query(self, prepared: Any, digest: str) -> PairVerdict:
        self.asked.append((prepared, digest))
        return self.verdict


class Embedding:
    """An ingestor that has embedded already."""

    def __init__(self, features: list[list[float]]) -> None:
        self.features = np.array(features, np.float32)

    def embed(self, data: bytes) -> tuple[Any, Facts, bytes]:
        return self.features, FACTS, b"thumbnail"


def query(digest: str = "q", facts: Facts = FACTS) -> Query:
    return Query(digest, UP[None], 0.5, facts, cast(Any, "prepared"))


def candidate(digest: str = "r", facts: Facts = OTHER, vector: Any = UP) -> Candidate:
    return Candidate("name", digest, facts, vector, 1.5)


def compared(query: Query, candidate: Candidate, verifier: Any, threshold: float = 0.5) -> Any:
    return match_candidate(query, candidate, verifier, score=Score("cosine"), threshold=threshold)


def test_a_query_has_unit_rows_and_the_log_norm_of_the_whole() -> None:
    made = Query.from_bytes(
        b"data", cast(Any, Embedding([[3, 4], [0, 2], [0, 0], [np.nan, 1]])), cast(Any, Verifier())
    )
    assert made.digest == hashlib.sha256(b"data").hexdigest()
    np.testing.assert_allclose(made.vectors, [[0.6, 0.8], [0, 1]], rtol=1e-6)
    assert made.vectors.dtype == np.float32
    assert made.log_norm == pytest.approx(np.log(5))
    assert made.prepared == ("prepared", b"thumbnail")


@pytest.mark.parametrize("whole", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_a_whole_image_without_a_direction_is_refused(whole: list[float]) -> None:
    with pytest.raises(AslError, match="query: the embedding has norm"):
        Query.from_bytes(b"data", cast(Any, Embedding([whole, [1.0, 0.0]])), cast(Any, Verifier()))


def test_the_verdict_becomes_a_match_of_query_and_reference() -> None:
    verifier = Verifier()
    match = compared(query(), candidate(vector=np.array([0.6, 0.8], np.float32)), verifier)
    assert verifier.asked == [("prepared", "r")]
    assert (match.reference, match.probability, match.accepted) == ("name", 0.9, True)
    assert match.direction == "reference->query"
    assert match.why
    assert match.cosine == match.score == pytest.approx(0.6)
    assert (match.query_log_norm, match.reference_log_norm) == (0.5, 1.5)
    assert (match.query_outline, match.reference_outline) == (
        CROP.first_outline,
        CROP.second_outline,
    )
    assert match.reason == CROP.reason


def test_the_threshold_itself_is_accepted() -> None:
    for threshold, accepted in ((0.9, True), (0.91, False)):
        match = compared(query(), candidate(), Verifier(), threshold)
        assert match.accepted == accepted


def test_the_direction_turns_with_the_verdict() -> None:
    match = compared(query(), candidate(), Verifier(CROP.flipped()))
    assert match.direction == "query->reference"


def test_identical_files_and_pixels_are_not_verified() -> None:
    verifier = Verifier()
    same = compared(query("x"), candidate("x", FACTS), verifier)
    assert (same.probability, same.direction, same.why) == (1.0, "unclear", "")
    assert same.reason == SAME_FILE.reason
    pixels = compared(query("x"), candidate("y", replace(FACTS, bytes=900)), verifier)
    assert (pixels.probability, pixels.reason) == (SAME_PIXELS.probability, SAME_PIXELS.reason)
    assert not verifier.asked
    blank = replace(FACTS, lost=())
    compared(query("x", blank), candidate("y", blank), verifier)
    assert verifier.asked == [("prepared", "y")], "equal blank pictures are no copies by that alone"


def test_orthogonal_embeddings_do_not_change_the_probability() -> None:
    match = compared(query(), candidate(vector=ASIDE), Verifier())
    assert (match.cosine, match.probability) == (0.0, 0.9)
