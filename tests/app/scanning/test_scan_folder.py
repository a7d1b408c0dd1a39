from __future__ import annotations

import csv
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.pairs.pair_verifier import verifier_id
from asl.matching.decision.thresholds import threshold_for
from tests.app.conftest import Pixels, crop, encode, textured
from tests.app.scans import names, scan, scanned, summary


def test_copies_within_a_folder(photos: Path, model: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "p2.jpg", photos / "p2 (1).jpg")
    rows = scanned(photos, model, tmp_path / "out")
    assert names(rows) == {
        ("p0.jpg", "crop-of-0.jpg", "original->copy"),
        ("p1.jpg", "small-1.png", "original->copy"),
        ("p2.jpg", "p2 (1).jpg", "same file"),
    }
    assert {row["group"] for row in rows} == {"1", "2", "3"}
    cut = next(row for row in rows if row["copy"].endswith("crop-of-0.jpg"))
    assert "cropped to 3" in cut["edits"]
    assert cut["reason"].startswith("all of the copy matches 36 % of the original")
    assert (cut["original_width"], cut["copy_width"]) == ("400", "240")
    numbers = summary(tmp_path / "out")
    assert (numbers["files"], numbers["usable"], numbers["unreadable"]) == (9, 8, 1)
    with (tmp_path / "out" / "unreadable.csv").open() as file:
        (failure,) = csv.DictReader(file)
    assert failure["path"].endswith("broken.jpg")
    assert "truncated" in failure["reason"]


def test_what_is_kept_of_an_image_is_found_once_and_forgotten_with_it(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    def kept(output: Path) -> list[int]:
        """How many contents have local features, and parts by each set of regions."""
        (cache,) = output.glob("cache-*.sqlite")
        with closing(sqlite3.connect(cache)) as db:
            rows = db.execute("SELECT regions, count(*) FROM parts GROUP BY regions").fetchall()
        details = [count for name, count in rows if name.startswith("local-")]
        return details + sorted(count for name, count in rows if not name.startswith("local-"))

    output = tmp_path / "out"
    scanned(photos, model, output, "--local-candidates", 0)
    assert kept(output) == []
    rows = scanned(photos, model, output)
    assert kept(output) == [7]
    assert names(scanned(photos, model, output, "--regions", "coarse")) == names(rows)
    assert names(scanned(photos, model, output, "--regions", "fine")) == names(rows)
    assert kept(output) == [7, 7, 7]
    (photos / "p4.jpg").unlink()
    scanned(photos, model, output)
    assert kept(output) == [6, 6, 6]
    (photos / "p3.jpg").write_bytes((photos / "p2.jpg").read_bytes())
    scanned(photos, model, output)
    assert kept(output) == [5, 5, 5], "what was replaced is forgotten"
    (photos / "p1.jpg").rename(photos / "a.jpg")
    (photos / "p0.jpg").rename(photos / "p1.jpg")
    (photos / "a.jpg").rename(photos / "p0.jpg")
    scanned(photos, model, output)
    assert summary(output)["embedded"] == 0, "what has moved is kept"
    (cache,) = output.glob("cache-*.sqlite")
    with closing(sqlite3.connect(cache)) as db, db:
        db.execute("UPDATE meta SET value = 'older' WHERE key = 'judge'")
        db.execute("INSERT INTO verdicts VALUES ('a', 'b', 'older', '', NULL)")
    scanned(photos, model, output)
    with closing(sqlite3.connect(cache)) as db:
        judges = db.execute("SELECT DISTINCT judge FROM verdicts").fetchall()
    assert judges == [(verifier_id(),)]


def test_less_precision_lists_less_probable_pairs(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsure(pairs: list, **_: object) -> object:  # type: ignore[type-arg]
        return ((pair, PairVerdict(forward=0.3, backward=0.1)) for pair in pairs)

    monkeypatch.setattr("asl.app.scanning.pair_comparer.verify_with_cache", unsure)
    assert threshold_for(0.75) < 0.3 < threshold_for(0.9)
    assert not scanned(photos, model, tmp_path / "out", "--precision", 0.9)
    found = scanned(photos, model, tmp_path / "out", "--precision", 0.75)
    assert {row["probability"] for row in found} == {"0.3"}


def test_a_pipe_with_the_name_of_an_image_is_unreadable(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    os.mkfifo(photos / "x.jpg")
    scanned(photos, model, tmp_path / "out")
    with (tmp_path / "out" / "unreadable.csv").open() as file:
        reasons = {Path(row["path"]).name: row["reason"] for row in csv.DictReader(file)}
    assert reasons["x.jpg"] == "not a regular file"


def test_a_folder_that_may_not_be_read_is_an_error_and_forgets_nothing(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permissions do not stop the superuser, as whom tests may run: the error is raised here."""
    before = scanned(photos, model, tmp_path / "out")
    listed = os.scandir

    def refuse(path: object) -> object:
        if Path(str(path)).name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        assert scan(photos, "--model", model, "--output", tmp_path / "out", "--quiet") == 1
    assert scanned(photos, model, tmp_path / "out") == before
    assert summary(tmp_path / "out")["embedded"] == 0


def test_against_a_library_only_pairs_across_are_found(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    new.mkdir()
    (new / "cut.jpg").write_bytes(encode(crop(textured(0)), quality=80))
    (new / "cut-again.jpg").write_bytes(encode(crop(textured(0)), quality=60))
    (new / "mine.jpg").write_bytes(encode(textured(50)))
    (new / "mine-small.jpg").write_bytes(encode(cv2.resize(textured(50), (200, 150))))
    shutil.copy(photos / "p2.jpg", new / "identical.jpg")
    shutil.copy(photos / "p2.jpg", new / "identical-2.jpg")
    rows = scanned(new, model, tmp_path / "out", "--against", photos)
    assert ("p0.jpg", "cut.jpg", "original->copy") in names(rows)
    assert ("p0.jpg", "cut-again.jpg", "original->copy") in names(rows)
    assert ("p2.jpg", "identical.jpg", "same file") in names(rows)
    assert ("p2.jpg", "identical-2.jpg", "same file") in names(rows)
    assert not any("mine" in row["original"] or "mine" in row["copy"] for row in rows)
    for row in rows:
        assert (str(new) in row["original"]) != (str(new) in row["copy"]), row


def test_two_processes_say_the_same_as_one(photos: Path, model: Path, tmp_path: Path) -> None:
    one = scanned(photos, model, tmp_path / "one")
    two = scanned(photos, model, tmp_path / "two", "--workers", 2)
    assert one == two


def gradient() -> Pixels:
    """Fog: smooth, without a single local feature, but not blank."""
    ramp = np.linspace(150, 215, 300)[:, None] + np.linspace(0, 12, 400)[None]
    return np.repeat(ramp[..., None], 3, axis=2).astype(np.uint8)


def test_identical_pixels_are_a_pair_without_any_structure(model: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    fog = encode(gradient(), quality=90)
    (photos / "fog.jpg").write_bytes(fog)
    comment = b"a comment"
    tagged = fog[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + fog[2:]
    (photos / "fog tagged.jpg").write_bytes(tagged)
    for name, shade in (("white.jpg", 255), ("white too.jpg", 255)):
        blank = np.full((300, 400, 3), shade, np.uint8)
        (photos / name).write_bytes(encode(blank, quality=90 + len(name) % 7))
    (row,) = scanned(photos, model, tmp_path / "out")
    assert {Path(row["original"]).name, Path(row["copy"]).name} == {"fog.jpg", "fog tagged.jpg"}
    assert (row["probability"], row["edits"]) == ("1.0", "re-encoded")
    assert row["reason"].startswith("identical pixels")
    assert scanned(photos, model, tmp_path / "out") == [row], "blank pictures are no copies"


def test_names_that_are_no_text_are_scanned(photos: Path, model: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "p3.jpg", os.fsencode(photos) + b"/caf\xe9.jpg")
    rows = scanned(photos, model, tmp_path / "out")
    assert ("p3.jpg", "caf\\xe9.jpg", "same file") in names(rows)
    assert scanned(photos, model, tmp_path / "out") == rows
    assert summary(tmp_path / "out")["embedded"] == 0


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_a_killed_scan_leaves_no_process_and_goes_on_where_it_was(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    for seed in range(300, 340):
        (photos / f"more{seed}.jpg").write_bytes(encode(textured(seed, 90, 120)))
    command = [
        sys.executable,
        "-m",
        "asl",
        "scan",
        str(photos),
        "--model",
        str(model),
        "--output",
        str(tmp_path / "out"),
    ]
    command += ["--workers", "2", "--quiet"]
    process = subprocess.Popen(command)
    for _ in range(600):
        children = children_of(process.pid)
        if len(children) >= 2:
            break
        time.sleep(0.05)
    assert children, "the scan did not come to comparing"
    time.sleep(2)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while (
        any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline
    ):
        time.sleep(0.05)
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    scanned(photos, model, tmp_path / "out")
    assert summary(tmp_path / "out")["embedded"] == 0


def children_of(parent: int) -> list[int]:
    """Processes that a process has started to compare pairs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
            command = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and b"spawn_main" in command:
            found.append(int(path.parent.name))
    return found


def test_several_folders_without_what_is_left_out(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    more = tmp_path / "more"
    (more / "thumbs").mkdir(parents=True)
    shutil.copy(photos / "p3.jpg", more / "p3.jpg")
    shutil.copy(photos / "p4.jpg", more / "thumbs" / "p4.jpg")
    (more / "tiny.jpg").write_bytes(encode(textured(3, 40, 50), quality=60))
    options = ("--exclude", "thumbs", "crop-*", "--min-size", 3)
    rows = scanned(photos, model, tmp_path / "out", more, *options)
    same = [row for row in rows if row["relation"] == "same file"]
    assert [(Path(row["original"]).parent.name, row["copy"]) for row in same] == [
        ("more", str(photos / "p3.jpg"))
    ]
    assert names(rows) >= {("p1.jpg", "small-1.png", "original->copy")}
    assert not any("crop-of-0" in row["copy"] for row in rows)
    numbers = summary(tmp_path / "out")
    assert numbers["left_out_by_options"] == 3
    assert numbers["probable_copies"] == len(rows) == 2
    sizes = [(photos / name).stat().st_size for name in ("p3.jpg", "sub/small-1.png")]
    assert numbers["copied_bytes"] == sum(sizes)
