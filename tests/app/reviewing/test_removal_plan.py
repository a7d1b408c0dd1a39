"""A dry run: what would go, what is refused and why, and that the counts add up."""

from __future__ import annotations

import os

import pytest

from asl.app.reviewing.decisions import Decision, Decisions
from asl.app.reviewing.removal_plan import ContentCheck, RemovalPlan, plan_removal
from asl.app.reviewing.review_groups import Member, ReviewFiles, ReviewGroup, review_groups
from tests.app.reviewing.scan_results import SavedScan, save_scan


def planned(
    saved: SavedScan, choices: dict[str, bool], groups: list[ReviewGroup] | None = None
) -> RemovalPlan:
    files = ReviewFiles(saved.result)
    decisions = Decisions(
        {str(saved.photos / name): Decision(keep, "hand", "") for name, keep in choices.items()}
    )
    groups = review_groups(saved.result, files, {}) if groups is None else groups
    plan = plan_removal(saved.result, files, groups, decisions, check=ContentCheck())
    assert plan.decided == len(plan.moves) + len(plan.refused) + plan.kept == len(choices)
    return plan


def gone(saved: SavedScan, plan: RemovalPlan) -> set[str]:
    return {os.path.relpath(move.path, saved.photos) for move in plan.moves}


def reasons(saved: SavedScan, plan: RemovalPlan) -> dict[str, str]:
    return {os.path.relpath(each.path, saved.photos): each.reason for each in plan.refused}


def test_what_was_decided_goes(saved: SavedScan) -> None:
    plan = planned(saved, {"small-1.png": False, "p1.jpg": True, "p2 (1).jpg": False})
    assert gone(saved, plan) == {"small-1.png", "p2 (1).jpg"}
    sizes = [(saved.photos / name).stat().st_size for name in ("small-1.png", "p2 (1).jpg")]
    assert plan.bytes == sum(sizes)
    assert plan.code != planned(saved, {"small-1.png": False}).code
    assert (
        plan.code
        == planned(saved, {"p2 (1).jpg": False, "small-1.png": False, "p1.jpg": True}).code
    )


@pytest.mark.parametrize("same_size", [True, False])
def test_a_file_that_changed_since_the_scan_is_refused(saved: SavedScan, same_size: bool) -> None:
    path = saved.photos / "small-1.png"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + (b"\1" if same_size else b""))
    plan = planned(saved, {"small-1.png": False})
    assert reasons(saved, plan) == {"small-1.png": "changed since the scan; scan again"}


def test_a_file_that_is_gone_or_a_folder_now_is_refused(saved: SavedScan) -> None:
    (saved.photos / "small-1.png").unlink()
    (saved.photos / "p3-again.jpg").unlink()
    (saved.photos / "p3-again.jpg").mkdir()
    plan = planned(saved, {"small-1.png": False, "p3-again.jpg": False})
    assert reasons(saved, plan) == {
        "small-1.png": "is not there any more",
        "p3-again.jpg": "is no file any more",
    }


def test_the_last_file_of_a_group_never_goes(saved: SavedScan) -> None:
    plan = planned(saved, {"small-1.png": False, "p1.jpg": False})
    assert plan.moves == ()
    assert set(reasons(saved, plan).values()) == {"no other file of its group would stay; keep one"}


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_copies_stay_where_their_original_did_not(saved: SavedScan, change: str) -> None:
    if change == "gone":
        (saved.photos / "p1.jpg").unlink()
    else:
        (saved.photos / "p1.jpg").write_bytes(b"another picture")
    plan = planned(saved, {"small-1.png": False})
    assert "gone or changed" in reasons(saved, plan)["small-1.png"]


def test_a_link_to_the_file_that_goes_is_no_survivor(saved: SavedScan) -> None:
    (saved.photos / "p2 (1).jpg").unlink()
    (saved.photos / "p2 (1).jpg").symlink_to(saved.photos / "p2.jpg")
    plan = planned(saved, {"p2.jpg": False})
    assert plan.moves == ()
    os.unlink(saved.photos / "p2 (1).jpg")
    os.link(saved.photos / "p2.jpg", saved.photos / "p2 (1).jpg")
    plan = planned(saved, {"p2.jpg": False})
    assert plan.moves == ()


def test_of_two_groups_each_keeps_a_file(saved: SavedScan) -> None:
    """The middle file is a copy in one group and the original of another."""
    files = ReviewFiles(saved.result)
    p0, p1, p3 = (
        files.by_path[str(saved.photos / name)] for name in ("p0.jpg", "p1.jpg", "p3.jpg")
    )
    groups = [
        ReviewGroup(1, (Member(p0), Member(p1, p0, 0))),
        ReviewGroup(2, (Member(p1), Member(p3, p1, 0))),
    ]
    plan = planned(saved, {"p1.jpg": False, "p3.jpg": False}, groups)
    assert set(reasons(saved, plan)) == {"p1.jpg", "p3.jpg"}, "nothing of the second would stay"
    plan = planned(saved, {"p3.jpg": False, "p0.jpg": True}, groups)
    assert gone(saved, plan) == {"p3.jpg"}


def test_decisions_outside_of_todays_groups_do_not_count(saved: SavedScan) -> None:
    files = ReviewFiles(saved.result)
    path = str(saved.photos / "small-1.png")
    decisions = Decisions({path: Decision(False, "hand", "")})
    plan = plan_removal(saved.result, files, [], decisions, check=ContentCheck())
    assert (plan.decided, plan.moves) == (0, ())


def test_files_of_a_library_are_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    saved = save_scan(tmp_path, library=("small-1.png",))
    plan = planned(saved, {"small-1.png": False})
    assert "belongs to the library" in reasons(saved, plan)["small-1.png"]
