"""Decisions, rules, marks and steps back, kept on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl.app.pairs.pair_marks import LEAST_ANSWERS, content_pair, read_marks
from asl.app.pairs.pair_verifier import verifier_id
from asl.app.reviewing.review_session import ReviewSession
from asl.types import UsageError
from tests.app.reviewing.scan_results import SavedScan


def number(session: ReviewSession, saved: SavedScan, name: str) -> int:
    return session.files.by_path[str(saved.photos / name)]


def names(session: ReviewSession, keep: bool) -> set[str]:
    return {
        Path(path).name
        for path in session.decisions
        if (decision := session.decisions.get(path)) and decision.keep is keep
    }


def test_decisions_outlive_the_session_and_follow_the_content(saved: SavedScan) -> None:
    session = ReviewSession(saved.folder)
    session.decide([number(session, saved, "small-1.png")], False)
    session.decide([number(session, saved, "p1.jpg")], True)
    session.by_rules(["keep-original"])
    again = ReviewSession(saved.folder)
    gone = {"small-1.png", "crop of 0.jpg", "p2 (1).jpg", "p3-again.jpg"}
    assert names(again, False) == gone
    assert names(again, True) == {"p0.jpg", "p1.jpg", "p2.jpg", "p3.jpg"}
    assert again.plan().code == session.plan().code


def test_every_step_can_be_taken_back(saved: SavedScan) -> None:
    session = ReviewSession(saved.folder)
    assert not session.undo()
    session.decide([number(session, saved, "small-1.png")], False)
    session.by_rules(["keep-original"])
    files = [number(session, saved, name) for name in ("p3.jpg", "p3-again.jpg")]
    session.mark((session.digest(files[0]), session.digest(files[1])), "not a copy")
    groups = len(session.groups)
    assert session.undo()
    assert len(session.groups) == groups + 1
    assert len(read_marks(saved.folder / "cache-marks.json")) == 0
    assert session.undo()
    assert names(session, False) == {"small-1.png"}
    assert session.undo()
    assert names(ReviewSession(saved.folder), False) == set()
    assert not session.can_undo


def test_a_marked_pair_leaves_its_group_and_its_decision_no_longer_counts(
    saved: SavedScan,
) -> None:
    session = ReviewSession(saved.folder)
    crop = number(session, saved, "sub/crop of 0.jpg")
    session.decide([crop], False)
    assert len(session.plan().moves) == 1
    root = number(session, saved, "p0.jpg")
    session.mark((session.digest(root), session.digest(crop)), "not a copy")
    assert session.plan().decided == 0, "it is in no group any more"
    (group,) = [group for group in session.groups if group.root == root]
    assert [Path(session.files[file].path).name for file in group.files] == [
        "p0.jpg",
        "collage.png",
    ]
    again = ReviewSession(saved.folder)
    assert len(again.groups) == len(session.groups)


def test_identical_files_can_be_kept_both(saved: SavedScan) -> None:
    session = ReviewSession(saved.folder)
    digest = session.digest(number(session, saved, "p2.jpg"))
    before = len(session.groups)
    session.mark((digest, digest), "keep both")
    assert len(session.groups) == before - 1
    other = session.digest(number(session, saved, "p0.jpg"))
    for pair in ((other, other), (other, digest)):
        with pytest.raises(UsageError, match="no pair"):
            session.mark(pair, "keep both")


def test_questions_end_and_the_answers_calibrate(saved: SavedScan) -> None:
    session = ReviewSession(saved.folder)
    asked = []
    while (question := session.question()) is not None:
        asked.append(question.row)
        session.mark(question.pair, "copy", asked=True)
    assert sorted(asked) == list(range(len(saved.result.pairs)))
    assert len(session.marks.answers(verifier_id())) == len(asked) < LEAST_ANSWERS
    assert session.calibration().answers == 0
    first = session.result.pairs[0]
    digests = [session.result.images[n].digest for n in (first.original, first.copy)]
    session.mark((digests[1], digests[0]), "not a copy")
    corrected = session.marks.get(content_pair(*digests))
    assert corrected is not None
    assert corrected.asked, "a corrected answer stays an answer"


def test_a_folder_without_a_scan_and_wrong_files_are_refused(
    saved: SavedScan, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"holds no scan\.json"):
        ReviewSession(tmp_path)
    session = ReviewSession(saved.folder)
    for wrong in (-1, 99):
        with pytest.raises(UsageError, match="no number"):
            session.decide([wrong], False)


def test_decisions_about_other_photos_are_kept_and_count_when_they_are_scanned_again(
    saved: SavedScan,
) -> None:
    session = ReviewSession(saved.folder)
    session.decide([number(session, saved, "small-1.png")], False)
    path = saved.folder / "scan.json"
    before = path.read_bytes()
    digest = session.digest(number(session, saved, "small-1.png"))
    text = path.read_text().replace(digest, "0" * 64)
    path.write_text(
        "\n".join(line for line in text.splitlines() if '"sha256"' not in line)[:-2] + "\n}"
    )
    text = path.read_text().rstrip("}\n ").rstrip(",") + "\n}"
    path.write_text(text)
    other = ReviewSession(saved.folder)
    assert other.set_aside == 1
    assert len(other.decisions) == 0
    other.decide([number(other, saved, "p1.jpg")], True)
    other.undo()
    other.decide([number(other, saved, "p1.jpg")], True)
    path.write_bytes(before)
    again = ReviewSession(saved.folder)
    assert again.set_aside == 0
    assert (names(again, False), names(again, True)) == ({"small-1.png"}, {"p1.jpg"})
    again.decide([number(again, saved, "small-1.png")], None)
    assert names(ReviewSession(saved.folder), False) == set(), "what is taken back stays so"
