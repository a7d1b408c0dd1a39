"""Moves to the trash and into a folder, refusals on the way, and everything back by the log."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from asl.app.reviewing import removal_log
from asl.app.reviewing.removal_log import last_removal, undo_removal
from asl.app.reviewing.review_session import ReviewSession
from asl.types import AslError, UsageError
from tests.app.reviewing.scan_results import SavedScan, with_undecoded_name


def listing(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def reviewed(saved: SavedScan, *names: str) -> ReviewSession:
    session = ReviewSession(saved.folder)
    numbers = [session.files.by_path[str(saved.photos / name)] for name in names]
    session.decide(numbers, False)
    return session


def test_to_the_trash_and_back(saved: SavedScan, trash: Path) -> None:
    before = listing(saved.photos)
    session = reviewed(saved, "small-1.png", "sub/crop of 0.jpg", "p2 (1).jpg")
    done = session.apply(session.plan().code, command="test")
    assert (len(done.moved), done.refused, done.kept, done.decided) == (3, (), 0, 3)
    assert set(before) - set(listing(saved.photos)) == {
        "small-1.png",
        "sub/crop of 0.jpg",
        "p2 (1).jpg",
    }
    assert len(list((trash / "files").iterdir())) == 3
    assert len(session.decisions) == 0
    restored = session.undo_removal()
    assert (len(restored.restored), restored.refused) == (3, ())
    assert listing(saved.photos) == before
    assert list((trash / "files").iterdir()) == list((trash / "info").iterdir()) == []
    with pytest.raises(AslError, match="nothing was removed"):
        session.undo_removal()


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text on this system")
@pytest.mark.parametrize("into", [None, "away"])
def test_a_file_goes_and_comes_back_whose_name_is_not_utf8(
    saved: SavedScan, trash: Path, tmp_path: Path, into: str | None
) -> None:
    saved = with_undecoded_name(saved, "small-1.png")
    before = listing(saved.photos)
    session = reviewed(saved, "\\xff.png")
    plan = session.plan()
    assert (len(plan.moves), plan.refused) == (1, ())
    assert session.result.typed_path(plan.moves[0].path) == str(saved.photos / "\\xff.png")
    done = session.apply(plan.code, command="test", into=into and tmp_path / into)
    assert (len(done.moved), done.refused) == (1, ())
    assert set(before) - set(listing(saved.photos)) == {os.fsdecode(b"\xff.png")}
    assert len(session.decisions) == 0
    restored = session.undo_removal()
    assert (len(restored.restored), restored.refused) == (1, ())
    assert listing(saved.photos) == before


def test_moves_are_undone_one_after_the_other(saved: SavedScan, trash: Path) -> None:
    before = listing(saved.photos)
    for name in ("small-1.png", "p2 (1).jpg"):
        session = reviewed(saved, name)
        session.apply(session.plan().code, command="test")
    assert [path.name for path in sorted(saved.folder.glob("removal-*.json"))] == [
        "removal-0001.json",
        "removal-0002.json",
    ]
    session.undo_removal()
    assert set(before) - set(listing(saved.photos)) == {"small-1.png"}
    session.undo_removal()
    assert listing(saved.photos) == before


def test_the_same_name_twice_in_the_trash_is_told_apart_by_content(
    saved: SavedScan, trash: Path
) -> None:
    before = listing(saved.photos)
    session = reviewed(saved, "small-1.png")
    session.apply(session.plan().code, command="test")
    from send2trash import plat_other

    (saved.photos / "small-1.png").write_bytes(b"another file of that name")
    plat_other.send2trash(str(saved.photos / "small-1.png"))
    session.undo_removal()
    assert listing(saved.photos) == before
    assert [path.read_bytes() for path in (trash / "files").iterdir()] == [
        b"another file of that name"
    ]


def test_nothing_is_overwritten_by_an_undo_and_the_rest_can_be_tried_again(
    saved: SavedScan, trash: Path
) -> None:
    session = reviewed(saved, "small-1.png", "p2 (1).jpg")
    session.apply(session.plan().code, command="test")
    (saved.photos / "small-1.png").write_bytes(b"new")
    restored = session.undo_removal()
    assert [os.path.basename(path) for path in restored.restored] == ["p2 (1).jpg"]
    assert [refusal.reason for refusal in restored.refused] == ["another file has its place now"]
    assert (saved.photos / "small-1.png").read_bytes() == b"new"
    (saved.photos / "small-1.png").unlink()
    again = session.undo_removal()
    assert [os.path.basename(path) for path in again.restored] == ["small-1.png"]
    assert last_removal(saved.folder) is None


def test_an_emptied_trash_is_said(saved: SavedScan, trash: Path) -> None:
    session = reviewed(saved, "small-1.png")
    session.apply(session.plan().code, command="test")
    for folder in ("files", "info"):
        for path in (trash / folder).iterdir():
            path.unlink()
    restored = session.undo_removal()
    assert restored.restored == ()
    assert "put it back from the trash of your desktop" in restored.refused[0].reason


def test_into_a_folder_and_back(saved: SavedScan, tmp_path: Path) -> None:
    before = listing(saved.photos)
    session = reviewed(saved, "small-1.png", "sub/crop of 0.jpg")
    into = tmp_path / "removed"
    (into / "sub").mkdir(parents=True)
    (into / "sub" / "crop of 0.jpg").write_bytes(b"older")
    done = session.apply(session.plan().code, command="test", into=into)
    assert len(done.moved) == 2
    assert set(listing(into)) == {"small-1.png", "sub/crop of 0.jpg", "sub/crop of 0 (2).jpg"}
    session.undo_removal()
    assert listing(saved.photos) == before
    with pytest.raises(UsageError, match="inside"):
        session.apply("x", command="test", into=saved.photos / "removed")


def test_a_refused_file_stays_and_is_named(
    saved: SavedScan, trash: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import send2trash

    real = send2trash.send2trash

    def failing(path: str) -> None:
        if path.endswith("small-1.png"):
            raise PermissionError(13, "Permission denied", path)
        real(path)

    monkeypatch.setattr(send2trash, "send2trash", failing)
    session = reviewed(saved, "small-1.png", "p2 (1).jpg")
    done = session.apply(session.plan().code, command="test")
    assert [refusal.reason for refusal in done.refused] == [
        "cannot go to the trash (Permission denied)"
    ]
    assert done.decided == 2
    assert (saved.photos / "small-1.png").is_file()
    assert session.decisions.get(str(saved.photos / "small-1.png")) is not None


def test_a_file_that_changes_between_plan_and_move_stays(
    saved: SavedScan, trash: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = reviewed(saved, "small-1.png", "p2 (1).jpg")
    code = session.plan().code
    real = removal_log.move_to_trash

    def editing(path: str) -> None:
        real(path)
        other = saved.photos / ("small-1.png" if path.endswith("p2 (1).jpg") else "p2 (1).jpg")
        other.write_bytes(other.read_bytes() + b"edited")

    monkeypatch.setattr(removal_log, "move_to_trash", editing)
    done = session.apply(code, command="test")
    assert (len(done.moved), len(done.refused)) == (1, 1)
    assert "changed since the scan" in done.refused[0].reason


def test_a_killed_move_can_be_undone(
    saved: SavedScan, trash: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is on the disk before the first file moves."""
    before = listing(saved.photos)
    session = reviewed(saved, "small-1.png", "p2 (1).jpg")
    real_write, real_move, moved = removal_log._write_log, removal_log.move_to_trash, []

    def killed(path: str) -> None:
        if moved:
            monkeypatch.setattr(removal_log, "_write_log", lambda *_, **__: None)
            raise KeyboardInterrupt
        moved.append(path)
        real_move(path)

    monkeypatch.setattr(removal_log, "move_to_trash", killed)
    with pytest.raises(KeyboardInterrupt):
        session.apply(session.plan().code, command="test")
    monkeypatch.setattr(removal_log, "_write_log", real_write)
    assert len(listing(saved.photos)) == len(before) - 1
    restored = undo_removal(saved.folder)
    assert restored is not None
    assert restored.refused == ()
    assert listing(saved.photos) == before


def test_another_list_than_the_confirmed_one_is_refused(saved: SavedScan, trash: Path) -> None:
    session = reviewed(saved, "small-1.png")
    code = session.plan().code
    session.decide([session.files.by_path[str(saved.photos / "p2 (1).jpg")]], False)
    before = listing(saved.photos)
    with pytest.raises(UsageError, match="2 files would go now"):
        session.apply(code, command="test")
    assert listing(saved.photos) == before


def test_a_damaged_log_is_one_line(saved: SavedScan, trash: Path) -> None:
    session = reviewed(saved, "small-1.png")
    session.apply(session.plan().code, command="test")
    path = saved.folder / "removal-0001.json"
    raw = json.loads(path.read_text())
    raw["files"][0]["path"] = "/elsewhere"
    path.write_text(json.dumps(raw))
    with pytest.raises(AslError, match=r"removal-0001\.json: damaged"):
        session.undo_removal()
