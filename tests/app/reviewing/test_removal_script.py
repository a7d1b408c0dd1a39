"""The script moves exactly its files, whatever their names, and refuses what changed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from asl.app.reviewing.removal_plan import PlannedMove, RemovalPlan
from asl.app.reviewing.removal_script import write_script

NAMES = (
    "plain.jpg",
    "with space.jpg",
    "quote'd.jpg",
    '"double".jpg',
    "$(touch OWNED).jpg",
    "`touch OWNED`.jpg",
    "back\\slash.jpg",
    "-rf.jpg",
    "new\nline.jpg",
    "sub/写真 ;rm *.jpg",
)


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a POSIX shell")
def test_every_name_is_quoted_and_nothing_else_happens(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    for name in NAMES:
        (photos / name).write_bytes(name.encode())
    (photos / "stays.jpg").write_bytes(b"x")
    moves = [PlannedMove(str(photos / name), "", len(name.encode()), "hand") for name in NAMES]
    script = tmp_path / "remove.sh"
    write_script(RemovalPlan(tuple(moves), (), 0), script, root=photos)
    (photos / "plain.jpg").write_bytes(b"longer than before")
    done = subprocess.run(
        ["sh", str(script), "taken"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, "one was refused"
    assert f"refused: {photos / 'plain.jpg'}" in done.stderr
    assert f"{len(NAMES) - 1} moved to taken, 1 refused" in done.stdout
    left = {os.path.relpath(path, photos) for path in photos.rglob("*") if path.is_file()}
    assert left == {"plain.jpg", "stays.jpg"}
    for name in NAMES[1:]:
        assert (tmp_path / "taken" / name).read_bytes() == name.encode()
    assert not list(tmp_path.rglob("OWNED"))
    again = subprocess.run(["sh", str(script)], cwd=tmp_path, capture_output=True, check=False)
    assert again.returncode == 1
    assert b"0 moved to asl-removed, 10 refused" in again.stdout
