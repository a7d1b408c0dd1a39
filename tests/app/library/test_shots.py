"""Files of one shot are known by folder and name."""

from __future__ import annotations

from pathlib import Path

from asl.app.library.shots import ShotFiles, raw_of_photos


def test_a_raw_belongs_to_the_photo_of_its_name_and_folder() -> None:
    paths = ["a/1.CR2", "a/1.jpg", "a/2.dng", "b/2.JPG", "a/3.nef", "a/3.HEIC"]
    paths += ["a/4.raf", "a/4.png"]
    assert raw_of_photos(paths) == {"a/1.CR2", "a/3.nef"}


def test_the_files_beside_a_photo(tmp_path: Path) -> None:
    for name in (
        "IMG_1.HEIC",
        "IMG_1.mov",
        "img_1.AAE",
        "IMG_1.heic.xmp",
        "IMG_1.png",
        "IMG_10.MOV",
        "x.dng",
        "x.jpg",
        "x.xmp",
        "x.jpg.bak",
        "y.png",
        "y.mov",
    ):
        (tmp_path / name).touch()
    shots = ShotFiles()
    beside = {name: shots.beside(str(tmp_path / name)) for name in ("x.dng", "x.jpg", "y.png")}
    live = shots.beside(str(tmp_path / "IMG_1.HEIC"))
    assert live == ("IMG_1.heic.xmp", "IMG_1.mov", "img_1.AAE")
    assert beside == {"x.dng": ("x.jpg", "x.xmp"), "x.jpg": ("x.dng", "x.xmp"), "y.png": ()}
    assert shots.beside(str(tmp_path / "gone" / "x.jpg")) == ()
