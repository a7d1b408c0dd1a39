from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from asl.app.pairs import pair_verifier as module
from asl.app.pairs.pair_verdict import SAME_FILE, SAME_THUMBNAIL, PairVerdict
from asl.app.pairs.pair_verifier import HOPELESS_PROBABILITY, PairVerifier, verify_prepared
from asl.matching import Verdict, Verifier
from asl.matching.align.prepare import Prepared
from asl.matching.values import Evidence
from tests.app.conftest import Pixels, crop, encode, textured


def verifier_of(monkeypatch, ready: int, kept: int) -> tuple[PairVerifier, list[str]]:  # type: ignore[no-untyped-def]
    pictures = {f"d{seed}": encode(textured(seed, 240, 320), quality=95) for seed in range(4)}
    pictures["cut"] = encode(crop(textured(0, 240, 320)), quality=95)
    read: list[str] = []

    def picture(digest: str) -> bytes:
        read.append(digest)
        return pictures[digest]

    monkeypatch.setattr(module, "PREPARED_CACHE_IMAGES", ready)
    return PairVerifier(picture, cached=kept), read


def test_what_is_kept_changes_the_work_and_not_the_answer(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    pairs = [("cut", "d0"), ("cut", "d1"), ("d0", "d1"), ("d2", "d3"), ("cut", "d0"), ("d0", "cut")]
    answers = []
    for ready, kept, reads in ((9, 9, 5), (1, 9, 5), (1, 1, 11)):
        verifier, read = verifier_of(monkeypatch, ready, kept)
        answers.append([verifier.verify(*pair) for pair in pairs])
        assert len(read) == reads
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0].forward > 0.5 > answers[0][2].probability


def test_agreeing_features_are_counted_before_learned_ones_are_needed(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    verifier, read = verifier_of(monkeypatch, 2, 9)
    cut = verifier.prepared("cut", learned=False)
    assert cut.stored is None
    counts = {name: verifier.agreeing(cut, name) for name in ("d0", "d1", "d2")}
    assert counts["d0"] is not None
    assert counts["d0"] >= 5
    assert (counts["d1"], counts["d2"]) == (0, 0)
    expected, _ = verifier_of(monkeypatch, 9, 9)
    assert verifier.verify("cut", "d0") == expected.verify("cut", "d0")
    assert verifier.prepared("d0").stored is not None
    assert len(read) == 4, "what was kept without learned features is not read again"


def test_a_pair_can_be_read_from_either_side(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    verifier, _ = verifier_of(monkeypatch, 9, 9)
    cut, whole = verifier.verify("cut", "d0"), verifier.verify("d0", "cut")
    assert cut.forward > cut.backward
    assert (whole.forward, whole.backward) == (cut.backward, cut.forward)
    assert whole.edits == cut.edits
    assert cut.reason.startswith("all of the query matches")
    assert whole.reason.startswith("all of the reference matches")
    for ours, theirs in (
        (cut.second_outline, whole.first_outline),
        (cut.first_outline, whole.second_outline),
    ):
        assert np.allclose(sorted(ours), sorted(theirs), atol=0.02)
    assert cut.flipped().flipped() == cut
    assert PairVerdict.from_json(cut.to_json()) == cut
    assert verifier.verify("d1", "d1") == SAME_FILE


@pytest.mark.parametrize(
    ("aligned", "seen", "said", "expected"),
    [
        (False, True, 0.7, 0.7),
        (False, False, 0.7, 0.01),
        (False, False, 0.004, 0.004),
        (True, True, 0.7, 0.7),
        (True, False, 0.7, 0.01),
    ],
)
def test_a_pair_that_could_not_be_seen_is_no_match(
    aligned: bool, seen: bool, said: float, expected: float
) -> None:
    """Whatever the verifier's number says of a blank wall: a hundredth at most."""
    verdict = Verdict(said, Evidence(aligned=float(aligned)), (), "", "none", seen)
    verifier: Any = SimpleNamespace(verify_prepared=lambda first, second: verdict)
    picture: Any = SimpleNamespace(image=np.full((8, 8, 3), 128, np.uint8), points=())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "likely_edits", lambda *_: ((), 0))
        found = verify_prepared(picture, picture, verifier)
    assert (found.forward, found.backward, found.seen) == (expected, expected, seen)


@dataclass(frozen=True, eq=False)
class CountingVerifier(Verifier):
    """Remember the queries of the directions that are verified."""

    queries: list[Prepared] = field(default_factory=list)

    def verify_prepared(self, query: Prepared, reference: Prepared) -> Verdict:
        self.queries.append(query)
        return super().verify_prepared(query, reference)


def directions_of(first: Pixels, second: Pixels) -> tuple[int, PairVerdict]:
    verifier = CountingVerifier()
    verdict = verify_prepared(verifier.prepare(first), verifier.prepare(second), verifier)
    return len(verifier.queries), verdict


def moved_about(seed: int) -> Pixels:
    """Another shot of one scene, whose parts have moved on their own."""
    rng, scene = np.random.default_rng(seed), textured(0)
    shot = scene.copy()
    for _ in range(40):
        top, left = rng.integers(0, 240), rng.integers(0, 340)
        part = scene[top : top + 60, left : left + 60]
        row, column = np.clip(np.array([top, left]) + rng.integers(-14, 15, 2), 0, (240, 340))
        shot[row : row + 60, column : column + 60] = part
    return shot


def test_a_pair_that_matches_in_neither_direction_is_verified_in_one() -> None:
    verifier = Verifier()
    skipped = 0
    for number in range(6):
        first, second = moved_about(2 * number + 1), moved_about(2 * number + 2)
        count, verdict = directions_of(first, second)
        if count == 2:
            continue
        skipped += 1
        assert max(verdict.forward, verdict.backward) < HOPELESS_PROBABILITY
        measured = verifier.verify(second, first).probability
        assert verdict.backward == pytest.approx(measured, abs=0.06)
        assert verdict.first_outline
        assert verdict.edits == ()
    assert skipped


@pytest.mark.parametrize("edit", ["crop", "cover", "blur", "mirror", "negative", "turn", "frame"])
def test_a_copy_is_verified_in_both_directions_whichever_comes_first(edit: str) -> None:
    whole = textured(3)
    copy = {
        "crop": crop,
        "cover": lambda image: np.concatenate([image[:180], textured(4)[180:]]),
        "blur": lambda image: cv2.GaussianBlur(image, (0, 0), 4),
        "mirror": lambda image: np.ascontiguousarray(image[:, ::-1]),
        "negative": lambda image: 255 - image,
        "turn": lambda image: np.ascontiguousarray(np.rot90(image)),
        "frame": lambda image: cv2.copyMakeBorder(image, 60, 60, 60, 60, cv2.BORDER_CONSTANT),
    }[edit](whole)
    for pair in ((copy, whole), (whole, copy)):
        count, verdict = directions_of(*pair)
        assert count == 2
        assert verdict.probability > 0.5


@pytest.mark.parametrize("alignment", [{"dense": 1.0}, {"inliers": math.log1p(7)}])
def test_an_alignment_by_chance_foretells_nothing(alignment: dict[str, float]) -> None:
    """The second direction may find another one: that of a copy."""
    hopeless = Verdict(0.001, Evidence(aligned=1.0, seen=1.0, **alignment), (), "", "none", True)
    answers = [hopeless, replace(hopeless, probability=0.9)]
    verifier: Any = SimpleNamespace(verify_prepared=lambda *_: answers.pop(0))
    one, other = (Verifier().prepare(textured(seed, 120, 160)) for seed in (0, 1))
    assert verify_prepared(one, other, verifier).backward == 0.9


@pytest.mark.parametrize(("measured", "predicted"), [(0.9, 0.1), (0.1, 0.9)])
def test_one_moment_is_asked_of_both_directions_where_one_is_predicted(
    measured: float, predicted: float
) -> None:
    certain = Evidence(aligned=1.0, seen=1.0, inliers=math.log1p(20))
    hopeless = Verdict(0.001, certain, (), "", "none", True, measured)
    verifier: Any = SimpleNamespace(
        verify_prepared=lambda *_: hopeless, predicted_backward=lambda _: (0.002, predicted)
    )
    one, other = (Verifier().prepare(textured(seed, 120, 160)) for seed in (0, 1))
    found = verify_prepared(one, other, verifier)
    assert (found.forward, found.backward, found.same_moment) == (0.001, 0.002, 0.1)


def test_equal_pixels_need_no_second_look_unless_there_is_nothing_on_them() -> None:
    pictures = {
        "one": encode(textured(0)),
        "same": encode(textured(0)),
        "near": encode(textured(0) // 2 * 2),
    }
    pictures |= {
        name: encode(np.full((240, 320, 3), 250, np.uint8)) for name in ("blank", "as blank")
    }
    verifier = PairVerifier(pictures.__getitem__)
    assert verifier.verify("one", "same") == SAME_THUMBNAIL == SAME_THUMBNAIL.flipped()
    assert SAME_THUMBNAIL.probability == 1.0
    assert 0.5 < verifier.verify("one", "near").probability < 1.0
    assert verifier.verify("blank", "as blank").probability < 0.5
