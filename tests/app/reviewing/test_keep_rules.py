"""Rules: what they decide, what they leave to people, and that no original ever goes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl.app.library.facts import Facts
from asl.app.pairs.origin import Origin
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.reviewing.keep_rules import RULES, RuleInput, apply_rules, check_rule
from asl.app.reviewing.loss_check import FilePair
from asl.app.reviewing.review_groups import Member, ReviewFiles, ReviewGroup, review_groups
from asl.app.scanning.result import MatchedPair, ScanImage, ScanResult
from asl.types import UsageError
from tests.app.reviewing.scan_results import SavedScan, save_scan


def decided(
    saved: SavedScan,
    *names: str,
    folder: Path | None = None,
    by_hand: dict[str, bool] | None = None,
) -> dict[str, bool]:
    """Name -> True where it stays."""
    files = ReviewFiles(saved.result)
    groups = review_groups(saved.result, files, {})
    hand = {files.by_path[str(saved.photos / name)]: keep for name, keep in (by_hand or {}).items()}
    known = RuleInput(saved.result, files, folder)
    outcome = apply_rules(names, groups, known, before=hand)
    return {
        os.path.relpath(files[number].path, saved.photos): stays
        for number, (stays, _) in outcome.decided.items()
    }


def test_keep_original_leaves_collages_to_people_and_directs_unclear_copies_by_their_pixels(
    saved: SavedScan,
) -> None:
    assert decided(saved, "keep-original") == {
        "p0.jpg": True,
        "sub/crop of 0.jpg": False,
        "p1.jpg": True,
        "small-1.png": False,
        "p2.jpg": True,
        "p2 (1).jpg": False,
        "p3.jpg": True,
        "p3-again.jpg": False,
    }


def test_a_file_whose_pixels_do_not_follow_is_left_with_the_reason(saved: SavedScan) -> None:
    files = ReviewFiles(saved.result)
    groups = review_groups(saved.result, files, {})
    reasons = {"p3-again.jpg": "could be another shot", "small-1.png": "shows more"}
    known = RuleInput(saved.result, files, losses=lambda pair: reasons.get(pair.going.name, ""))
    for name in RULES[:3]:
        outcome = apply_rules([name], groups, known, before={})
        left = {Path(files[number].path).name: why for number, why in outcome.left.items()}
        assert reasons.items() <= left.items()


def test_shots_of_one_camera_and_minute_are_left(saved: SavedScan) -> None:
    for row, pair in enumerate(saved.result.pairs):
        saved.result.pairs[row] = replace(pair, same_moment=True)
    files = ReviewFiles(saved.result)
    members = (Member(0), Member(1, 0, 0))
    known = RuleInput(saved.result, files, losses=lambda pair: "")
    outcome = apply_rules(["keep-original"], [ReviewGroup(1, members)], known, before={})
    assert outcome.left == {1: "may be another shot of the same moment"}


def test_keep_largest_decides_unclear_pairs_too(saved: SavedScan) -> None:
    outcome = decided(saved, "keep-original", "keep-largest")
    assert outcome["p3-again.jpg"] is False
    assert outcome["collage.png"] is True, "the collage is the largest picture of its group"


def test_keep_oldest_keeps_the_original_as_well(saved: SavedScan) -> None:
    os.utime(saved.photos / "small-1.png", (1, 1))
    outcome = decided(saved, "keep-oldest")
    assert (outcome["p1.jpg"], outcome["small-1.png"]) == (True, True)


def test_keep_folder_decides_only_groups_with_a_file_in_it(saved: SavedScan) -> None:
    outcome = decided(saved, "keep-folder", folder=saved.photos / "sub")
    assert outcome == {"p0.jpg": True, "sub/crop of 0.jpg": True}


def test_of_identical_files_the_one_in_the_folder_stays(saved: SavedScan) -> None:
    (saved.photos / "sub" / "p2.jpg").write_bytes((saved.photos / "p2.jpg").read_bytes())
    image = saved.result.images[-1]
    paths = (*image.paths, str(saved.photos / "sub" / "p2.jpg"))
    moved = ScanImage(paths, (False,) * 3, image.digest, image.facts, 3.0)
    saved.result.images[-1] = moved
    outcome = decided(saved, "keep-folder", folder=saved.photos / "sub")
    assert outcome["sub/p2.jpg"] is True
    assert (outcome["p2.jpg"], outcome["p2 (1).jpg"]) == (False, False)


def test_a_rule_needs_more_certainty_than_a_list(saved: SavedScan) -> None:
    for row, pair in enumerate(saved.result.pairs):
        verdict = replace(pair.verdict, backward=0.9)
        saved.result.pairs[row] = replace(pair, verdict=verdict)
    outcome = decided(saved, "keep-original", "keep-largest", "keep-oldest")
    assert {name for name, stays in outcome.items() if not stays} == {"p2 (1).jpg"}


def test_people_win_over_rules_and_no_group_is_emptied(saved: SavedScan) -> None:
    kept = decided(saved, "keep-original", by_hand={"small-1.png": True})
    assert "small-1.png" not in kept
    removed = decided(saved, "keep-original", by_hand={"p1.jpg": False})
    assert "small-1.png" not in removed, "the rule would have left nothing of that group"


def test_a_photo_with_other_files_of_its_shot_is_left_to_people(saved: SavedScan) -> None:
    (saved.photos / "sub" / "crop of 0.mov").write_bytes(b"the video of a Live Photo")
    (saved.photos / "p2 (1).xmp").write_bytes(b"edits")
    outcome = decided(saved, "keep-original", "keep-largest")
    assert "sub/crop of 0.jpg" not in outcome
    assert "p2 (1).jpg" not in outcome
    assert outcome["small-1.png"] is False


def test_files_of_a_library_stay(tmp_path: Path) -> None:
    saved = save_scan(tmp_path, library=("small-1.png", "sub/crop of 0.jpg"))
    outcome = decided(saved, "keep-original", "keep-largest")
    assert outcome.get("small-1.png") is not False
    assert outcome.get("sub/crop of 0.jpg") is not False


def test_wrong_rules_are_refused() -> None:
    with pytest.raises(UsageError, match="expected one of keep-original"):
        check_rule("keep-all", None)
    with pytest.raises(UsageError, match="--folder"):
        check_rule("keep-folder", None)


@st.composite
def reviews(draw: st.DrawFn) -> tuple[ScanResult, ReviewFiles, list[ReviewGroup]]:
    """Random files in random groups, some of them in several."""
    count = draw(st.integers(2, 9))
    sizes = draw(st.lists(st.integers(1, 50), min_size=count, max_size=count))
    library = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    folders = draw(st.lists(st.sampled_from("ab"), min_size=count, max_size=count))
    images = [
        ScanImage((f"/{folders[n]}/{n}",), (library[n],), f"d{n}", Facts(sizes[n], 1, 1), 0.0)
        for n in range(count)
    ]
    result = ScanResult(
        ((Path("/"), Path("/")),),
        False,
        images,
        [MatchedPair(0, 1, 0.9, PairVerdict(0.5, 0.99), Origin(2.0, "larger"))],
        0.5,
        0.9,
        None,
        0,
        0,
        0,
        0,
        Path("c"),  # type: ignore[arg-type]
    )
    groups = []
    for number in range(draw(st.integers(1, 4))):
        files = draw(st.lists(st.integers(0, count - 1), min_size=2, max_size=5, unique=True))
        members = [Member(files[0])]
        for place, file in enumerate(files[1:], start=1):
            parent = files[draw(st.integers(0, place - 1))]
            share = draw(st.sampled_from([0.3, 1.0]))
            sure = draw(st.sampled_from([0.9, 0.99]))
            members.append(Member(file, parent, 0, draw(st.booleans()), sure, share))
        groups.append(ReviewGroup(number + 1, tuple(members)))
    return result, ReviewFiles(result), groups


@settings(max_examples=300, deadline=None)
@given(
    reviews(),
    st.lists(st.sampled_from(RULES), min_size=1, max_size=3),
    st.dictionaries(st.integers(0, 8), st.booleans(), max_size=3),
    st.sets(st.integers(0, 8), max_size=3),
)
def test_rules_never_take_an_original_a_library_file_or_a_whole_group(
    review: tuple[ScanResult, ReviewFiles, list[ReviewGroup]],
    names: list[str],
    by_hand: dict[int, bool],
    lossy: set[int],
) -> None:
    result, files, groups = review

    def losses(pair: FilePair) -> str:
        return "shows more" if int(pair.going.name) in lossy else ""

    known = RuleInput(result, files, Path("/a"), losses=losses)
    by_hand = {number: keep for number, keep in by_hand.items() if number < len(files)}
    outcome = apply_rules(names, groups, known, before=by_hand)
    assert not set(outcome.decided) & set(by_hand)
    assert not set(outcome.left) & (set(outcome.decided) | set(by_hand))
    gone = {number for number, (stays, _) in outcome.decided.items() if not stays}
    assert not gone & {group.root for group in groups}
    assert not any(files[number].in_library for number in gone)
    assert not gone & lossy
    for group in groups:
        by_people = {number for number in group.files if by_hand.get(number) is False}
        if gone & set(group.files):
            assert set(group.files) - gone - by_people, "a rule never empties a group"
    fewer = apply_rules(names, groups, known, before=by_hand, shown=set(range(3)))
    assert set(fewer.decided) | set(fewer.left) <= {0, 1, 2}
