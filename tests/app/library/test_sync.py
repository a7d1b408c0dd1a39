"""Listings of files: links count once, and a folder that may not be read does not end a scan."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asl.app.library.sync import list_files
from asl.types import AslError, UsageError

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
    with pytest.raises(UsageError, match="PHOTOS: there is no"):
        list_files(tmp_path / "none", role="PHOTOS")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AslError, match="no image in it"):
        list_files(tmp_path / "empty", role="PHOTOS")
