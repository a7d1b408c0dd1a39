"""Folders with links, forbidden sub-folders and misleading names: nothing is lost silently."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asl.data import signatures
from asl.data.catalog import FileCatalog, open_catalog
from asl.data.folder_scan import scan_folder
from asl.types import AslError

JPEG = b"\xff\xd8\xff\xe0" + bytes(40)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(20)


def put(path: Path, data: bytes = JPEG) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    refs = tmp_path / "refs"
    put(refs / "part0" / "a.jpg")
    put(tmp_path / "elsewhere" / "b.jpg")
    put(tmp_path / "elsewhere" / "deep" / "c.jpg")
    (refs / "part1").symlink_to(tmp_path / "elsewhere")
    (refs / "part2").symlink_to(refs / "part0")  # inside: listed under its own name
    (refs / "part3").symlink_to(tmp_path / "elsewhere" / "deep")  # listed below part1 already
    (refs / "part0" / "loop").symlink_to(refs)
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path)
    (refs / "self").symlink_to("self")
    contents = scan_folder(refs)
    assert contents.images == ["part0/a.jpg", "part1/b.jpg", "part1/deep/c.jpg"]
    assert contents.unreadable == [("self", "a link to something that is not there")]


def test_a_dangling_link_to_a_folder_is_an_error(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    (tmp_path / "notes.txt").symlink_to(tmp_path / "gone.txt")
    assert open_catalog(tmp_path).ids.tolist() == ["a.jpg"], "no image was behind that link"
    (tmp_path / "part.1").symlink_to(tmp_path / "unmounted")
    with pytest.raises(AslError, match=r"part\.1: cannot be read \(a link to something"):
        open_catalog(tmp_path)
    catalog = open_catalog(tmp_path, complete=False)
    assert isinstance(catalog, FileCatalog)
    assert [path for path, _ in catalog.unreadable] == [str(tmp_path / "part.1")]
    (tmp_path / "b.jpg").symlink_to(tmp_path / "gone.jpg")
    assert open_catalog(tmp_path, complete=False).ids.tolist() == ["a.jpg", "b.jpg"]


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a.jpg")
    put(tmp_path / "lost+found" / "b.jpg")
    scan = os.scandir

    def refuse(path: Path) -> object:
        if "lost" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(AslError, match=r"lost\+found: cannot be read \(Permission denied\)"):
        open_catalog(tmp_path)
    catalog = open_catalog(tmp_path, complete=False)
    assert catalog.ids.tolist() == ["a.jpg"]
    assert isinstance(catalog, FileCatalog)
    assert catalog.unreadable == ((str(tmp_path / "lost+found"), "Permission denied"),)
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(AslError, match="lost"):
        open_catalog(tmp_path, complete=False)


def test_the_first_bytes_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures, "_installed", lambda module: False)
    for name in ("a.HEIC", "b.jif", "c", "d.MPO", "e.dng", "sub/f.photo"):
        put(tmp_path / name)
    put(tmp_path / "g.heic", HEIC)
    put(tmp_path / "h", HEIC)
    put(tmp_path / "h.photo", HEIC)
    put(tmp_path / "i.dng", b"II*\0" + bytes(40))  # RAW: Pillow would read its thumbnail
    put(tmp_path / "j.jxl", b"")
    put(tmp_path / "k.txt", b"text")
    put(tmp_path / "l.xmp", b"<x/>")
    os.mkfifo(tmp_path / "m")
    contents = scan_folder(tmp_path)
    assert contents.images == ["a.HEIC", "b.jif", "c", "d.MPO", "e.dng", "sub/f.photo"]
    assert dict(contents.skipped) == {
        ".heic": 1,
        "without ending (HEIC)": 1,
        ".photo (HEIC)": 1,
        ".dng": 1,
        ".jxl": 1,
    }
    monkeypatch.setattr(signatures, "_installed", lambda module: True)
    contents = scan_folder(tmp_path)
    assert {"g.heic", "h", "h.photo", "i.dng", "j.jxl"} < set(contents.images)
    assert not contents.skipped


def test_two_images_of_one_id_are_both_named(tmp_path: Path) -> None:
    put(tmp_path / "R0.jpg")
    put(tmp_path / "R0.png")
    message = rf"{tmp_path.name}: R0\.jpg and R0\.png get the same id 'R0'; .*id_style=path"
    with pytest.raises(AslError, match=message):
        open_catalog(tmp_path, id_style="stem")
    assert len(open_catalog(tmp_path)) == 2


def test_archives_beside_images_are_counted(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    put(tmp_path / "backup.tar", b"")
    catalog = open_catalog(tmp_path)
    assert isinstance(catalog, FileCatalog)
    assert catalog.skipped == ((".tar", 1),)
