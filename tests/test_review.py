"""``asl review`` as a command: dry run, confirmation, refusals, undo, wrong use."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from asl.cli import start
from tests.app.reviewing.conftest import saved, trash
from tests.app.reviewing.scan_results import SavedScan

__all__ = ["saved", "trash"]  # fixtures


def review(*words: object) -> int:
    return start("review", [str(word) for word in words])


def code_of(printed: str) -> str:
    found = re.search(r"--apply (\w+)", printed)
    assert found, printed
    return found[1]


def test_a_rule_is_listed_confirmed_moved_and_undone(
    saved: SavedScan, trash: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = ("--rule", "keep-original")
    assert review(saved.folder, *rule, "--dry-run") == 0
    listed = capsys.readouterr().out
    assert "8 decided = 4 to go + 0 refused + 4 kept" in listed
    assert "1 file of the groups is undecided and stays" in listed
    assert not (saved.folder / "decisions.json").exists(), "a dry run writes nothing"
    assert (saved.photos / "small-1.png").is_file()
    assert review(saved.folder, *rule, "--apply", code_of(listed)) == 0
    moved = capsys.readouterr().out
    assert "8 decided = 4 to go + 0 refused + 4 kept" in moved
    assert "--undo" in moved
    assert not (saved.photos / "small-1.png").exists()
    assert review(saved.folder, "--undo") == 0
    assert "4 put back, 0 not" in capsys.readouterr().out
    assert (saved.photos / "small-1.png").is_file()
    assert review(saved.folder, "--undo") == 1
    assert "nothing was removed" in capsys.readouterr().err


def test_an_old_confirmation_is_refused(
    saved: SavedScan, trash: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    review(saved.folder, "--rule", "keep-original", "--dry-run")
    code = code_of(capsys.readouterr().out)
    (saved.photos / "small-1.png").write_bytes(b"edited")
    assert review(saved.folder, "--rule", "keep-original", "--apply", code) == 2
    assert "3 files would go now; look at the dry run again" in capsys.readouterr().err
    review(saved.folder, "--rule", "keep-original", "--dry-run")
    listed = capsys.readouterr().out
    assert "small-1.png: changed since the scan" in listed
    assert review(saved.folder, "--rule", "keep-original", "--apply", code_of(listed)) == 1
    printed = capsys.readouterr()
    assert "8 decided = 3 to go + 1 refused + 4 kept" in printed.out
    assert "refused: " in printed.err
    assert (saved.photos / "small-1.png").read_bytes() == b"edited"


def test_into_a_folder_and_a_script(
    saved: SavedScan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--rule", "keep-folder,keep-original", "--folder", saved.photos / "sub")
    assert review(saved.folder, *words, "--script", tmp_path / "remove.sh") == 0
    assert "sh " in capsys.readouterr().out
    assert review(saved.folder, *words, "--into", tmp_path / "taken", "--dry-run") == 0
    listed = capsys.readouterr().out
    assert f"--into {tmp_path / 'taken'}" in listed
    code = code_of(listed)
    assert review(saved.folder, *words, "--apply", code, "--into", tmp_path / "taken") == 0
    assert (tmp_path / "taken" / "small-1.png").is_file()
    assert (saved.photos / "sub" / "crop of 0.jpg").is_file(), "its folder stays"
    assert review(saved.folder, "--undo") == 0
    script = ["sh", str(tmp_path / "remove.sh"), str(tmp_path / "by-script")]
    assert subprocess.run(script, check=False, capture_output=True).returncode == 0
    assert (tmp_path / "by-script" / "small-1.png").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["SCAN", "--rule", "keep-all"], "rule: expected one of keep-original"),
        (["SCAN", "--rule", "keep-folder"], "keep-folder needs --folder"),
        (
            ["SCAN", "--rule", "keep-folder", "--folder", "gone"],
            "folder: no file of the scan is in",
        ),
        (["SCAN", "--folder", "x"], "folder: needs --rule keep-folder"),
        (["SCAN", "--dry-run", "--undo"], "undo: does not go with dry_run"),
        (["SCAN", "--undo", "--rule", "keep-original"], "undo: takes no rule"),
        (["SCAN", "--into", "x"], "into: needs --apply"),
        (["SCAN", "--apply", "x"], "the list is not the one"),
        (["EMPTY"], "holds no scan.json"),
        (["SCAN", "--port", "99999"], "--port must be in"),
    ],
)
def test_wrong_use_is_one_line(
    saved: SavedScan,
    tmp_path: Path,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"SCAN": saved.folder, "EMPTY": tmp_path / "empty"}
    assert review(*(places.get(word, word) for word in words)) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.strip().splitlines()) == 1
    assert not list(saved.folder.glob("removal-*"))


def test_damage_is_one_line(saved: SavedScan, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved.folder / "scan.json"
    path.write_text(path.read_text().replace("0.99", "0.98"))
    assert review(saved.folder, "--dry-run") == 1
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 1
    assert "scan.json: damaged" in printed[0]
