"""Listings of files: links count once, and a folder that may not be read does not end a scan."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from asl.app.library import picture_parts, records
from asl.app.library.sync import list_files
from asl.data import signatures
from asl.types import AslError, UsageError
from tests.app.conftest import crop, encode, textured
from tests.app.scans import names, page_data, scanned, summary
from tests.data.photo_files import dng, heic, jpeg

JPEG = b"\xff\xd8\xff\xe0" + bytes(40)


def test_an_unreadable_folder_is_named_and_the_rest_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("photos/a.jpg", "photos/lost+found/b.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(JPEG)
    scan = os.scandir

    def refuse(path: Path) -> object:
        if "lost" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = list_files(tmp_path / "photos", role="PHOTOS")
    assert [Path(source.name).name for source in listing.sources] == ["a.jpg"]
    assert listing.unreadable == ((str(tmp_path / "photos" / "lost+found"), "Permission denied"),)


def test_a_text_is_said_to_be_read_as_a_list(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.jpg").write_bytes(JPEG)
    (tmp_path / "notes.txt").write_text("a.jpg\n")
    with caplog.at_level("WARNING", logger="asl.notices"):
        assert len(list_files(tmp_path / "notes.txt", role="PHOTOS").sources) == 1
        list_files(tmp_path, role="PHOTOS")
    (record,) = caplog.records
    said = f"PHOTOS: {tmp_path / 'notes.txt'} is read as a list of 1 path"
    assert record.getMessage() == said


def test_linked_folders_are_listed_and_links_to_listed_files_are_not(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.jpg").write_bytes(JPEG)
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(JPEG)
    (photos / "link.jpg").symlink_to(photos / "a.jpg")
    (photos / "more").symlink_to(tmp_path / "elsewhere")
    listing = list_files(photos, role="PHOTOS")
    assert [Path(source.name).name for source in listing.sources] == ["a.jpg", "b.jpg"]
    assert listing.links == 1


def test_archives_and_missing_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"PHOTOS: there is no .*; check the path"):
        list_files(tmp_path / "none", role="PHOTOS")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AslError, match="no image in it"):
        list_files(tmp_path / "empty", role="PHOTOS")


def test_links_to_one_file_are_one_file(photos: Path, model: Path, tmp_path: Path) -> None:
    """Listed as an original, a link would be above its own target: deleting the copy loses both."""
    (photos / "A-link.jpg").symlink_to("p0.jpg")
    os.link(photos / "p3.jpg", photos / "hard link.jpg")
    rows = scanned(photos, model, tmp_path / "out")
    assert names(rows) == {
        ("p0.jpg", "crop-of-0.jpg", "original->copy"),
        ("p1.jpg", "small-1.png", "original->copy"),
    }
    numbers = summary(tmp_path / "out")
    assert (numbers["files"], numbers["links_skipped"]) == (8, 2)


def test_a_library_of_links_to_the_photos_holds_no_originals(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "library").mkdir()
    for seed in range(5):
        (tmp_path / "library" / f"{seed}.jpg").symlink_to(photos / f"p{seed}.jpg")
    shutil.copy(photos / "p4.jpg", tmp_path / "library" / "real copy.jpg")
    rows = scanned(photos, model, tmp_path / "out", "--against", tmp_path / "library")
    assert names(rows) == {("real copy.jpg", "p4.jpg", "same file")}
    assert summary(tmp_path / "out")["links_skipped"] == 5


def test_a_picture_that_needed_the_extra_is_tried_again(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "phone.jpg").write_bytes(heic(Image.fromarray(textured(40))))
    with monkeypatch.context() as patch:
        patch.setattr(signatures, "_installed", lambda module: False)
        # Decoded here: another process would find the package.
        patch.setattr(picture_parts, "within_budget", lambda task, data, **_: task(data))
        scanned(photos, model, tmp_path / "out")
        numbers = summary(tmp_path / "out")
        assert (numbers["embedded"], numbers["unreadable"]) == (7, 2)
    scanned(photos, model, tmp_path / "out")
    numbers = summary(tmp_path / "out")
    assert (numbers["embedded"], numbers["unreadable"]) == (1, 1)


def test_raw_and_jpeg_of_one_shot_stay_together(photos: Path, model: Path, tmp_path: Path) -> None:
    shot = Image.fromarray(textured(50, 480, 640))
    folder = photos / "shots"
    folder.mkdir()
    for name, data in (
        ("IMG_1.CR2", dng(jpeg(shot))),
        ("IMG_1.JPG", jpeg(shot)),
        ("IMG_2.dng", dng(jpeg(shot), seed=1)),
        ("IMG_1.MOV", b"film"),
        ("=1.jpg", jpeg(shot)),
        ("=1.mov", b"film"),
    ):
        (folder / name).write_bytes(data)
    rows = scanned(photos, model, tmp_path / "out")
    mine = {(row["original"], row["copy"]): row for row in rows if "IMG_" in row["original"]}
    listed = {Path(path).name for pair in mine for path in pair}
    assert "IMG_1.CR2" not in listed, "no pair of its own"
    assert "IMG_2.dng" in listed, "a RAW alone is compared"
    together = {
        Path(row[side]).name: row[f"{side}_shot"] for row in rows for side in ("original", "copy")
    }
    assert together["IMG_1.JPG"] == "IMG_1.CR2; IMG_1.MOV"
    assert together["IMG_2.dng"] == ""
    assert together["=1.jpg"] == "./=1.mov", "no formula"
    assert summary(tmp_path / "out")["raw_files_kept_with_a_photo"] == 1
    images = page_data(tmp_path / "out")["images"]
    beside = {file["name"]: file["beside"] for image in images for file in image["files"]}
    assert (beside["shots/=1.jpg"], beside["shots/IMG_1.JPG"]) == ("=1.mov", "IMG_1.CR2, IMG_1.MOV")


def test_a_higher_limit_of_pixels_is_tried_again(photos: Path, model: Path, tmp_path: Path) -> None:
    (photos / "large.png").write_bytes(encode(textured(7, 500, 600), "PNG"))
    scanned(photos, model, tmp_path / "out", "--max-megapixels", 0.2)
    with (tmp_path / "out" / "unreadable.csv").open() as file:
        reasons = {Path(row["path"]).name: row["reason"] for row in csv.DictReader(file)}
    assert reasons["large.png"] == "too many pixels: 0.3 megapixels, the limit is 0.2"
    scanned(photos, model, tmp_path / "out")
    assert (summary(tmp_path / "out")["unreadable"], summary(tmp_path / "out")["embedded"]) == (
        1,
        1,
    )


def test_a_file_that_cannot_be_read_this_time_is_not_gone(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = scanned(photos, model, tmp_path / "out")
    os.utime(photos / "p0.jpg")  # changed, so that it is read
    read = records.read_file

    def refuse(path: Path) -> bytes:
        if path.name == "p0.jpg":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(records, "read_file", refuse)
        rows = scanned(photos, model, tmp_path / "out")
    numbers = summary(tmp_path / "out")
    assert (numbers["forgotten"], numbers["unreadable"], numbers["usable"]) == (0, 2, 6)
    assert "p0.jpg" not in {Path(row[side]).name for row in rows for side in ("original", "copy")}
    assert scanned(photos, model, tmp_path / "out") == before
    assert summary(tmp_path / "out")["embedded"] == 0, "what was known of it was kept"


def test_a_second_scan_embeds_only_what_is_new(photos: Path, model: Path, tmp_path: Path) -> None:
    first = scanned(photos, model, tmp_path / "out")
    assert summary(tmp_path / "out")["embedded"] == 7
    assert scanned(photos, model, tmp_path / "out") == first
    again = summary(tmp_path / "out")
    assert (again["embedded"], again["reused"], again["forgotten"]) == (0, 7, 0)
    (photos / "p0.jpg").rename(photos / "sub" / "moved.jpg")
    (photos / "p4.jpg").unlink()
    (photos / "new.jpg").write_bytes(encode(crop(textured(3)), quality=90))
    os.utime(photos / "p2.jpg")
    rows = scanned(photos, model, tmp_path / "out")
    numbers = summary(tmp_path / "out")
    assert (numbers["embedded"], numbers["forgotten"], numbers["files"]) == (1, 2, 8)
    assert names(rows) == {
        ("moved.jpg", "crop-of-0.jpg", "original->copy"),
        ("p1.jpg", "small-1.png", "original->copy"),
        ("p3.jpg", "new.jpg", "original->copy"),
    }
    (photos / "p3.jpg").write_bytes(b"broken now")
    rows = scanned(photos, model, tmp_path / "out")
    assert "p3.jpg" not in {row["original"].rsplit("/")[-1] for row in rows}
    assert summary(tmp_path / "out")["unreadable"] == 2
