from __future__ import annotations

import json
import shutil
from pathlib import Path

from asl.app.scanning.scan_gallery import _link
from tests.app.scans import page_data, scanned


def test_a_new_file_names_the_library_s_identical_one(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    shutil.copy(photos / "p2.jpg", tmp_path / "new" / "2.jpg")
    scanned(tmp_path / "new", model, tmp_path / "out", "--against", photos)
    data = page_data(tmp_path / "out")
    (image,) = data["images"]
    assert data["across"]
    files = {(Path(file["name"]).name, file["library"]) for file in image["files"]}
    assert files == {("2.jpg", False), ("p2.jpg", True)}
    assert all(Path(file["name"]).is_absolute() for file in image["files"]), "both as typed"


def test_the_gallery_holds_everything_and_nothing_that_runs(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    evil = photos / "<script>alert(1)<"
    evil.mkdir()
    shutil.copy(photos / "p3.jpg", evil / "img src=x onerror=alert(1).jpg")
    scanned(photos, model, tmp_path / "out")
    page = (tmp_path / "out" / "gallery.html").read_text()
    assert "<script>alert" not in page
    assert page.count("<script") == 2
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    raw = page.split('type="application/json">')[1].split("</script>")[0]
    data = json.loads(raw)
    files = [file for image in data["images"] for file in image["files"]]
    assert {file["name"] for file in files} >= {"p0.jpg", "sub/crop-of-0.jpg", "p1.jpg"}
    assert all(image["picture"].startswith("data:image/jpeg;base64,") for image in data["images"])
    scanned(photos, model, tmp_path / "out", "--gallery", 1)
    assert any(file["link"] == "../photos/p0.jpg" for file in files)
    less = (
        (tmp_path / "out" / "gallery.html")
        .read_text()
        .split('type="application/json">')[1]
        .split("</script>")[0]
    )
    assert len(json.loads(less)["pairs"]) == 1
    assert json.loads(less)["left_out"] == len(data["pairs"]) - 1


def test_a_file_name_is_never_an_address() -> None:
    assert _link("/a/javascript:alert(1).jpg", Path("/a")) == "javascript%3Aalert%281%29.jpg"
    assert _link("/a/b c/%2e#x?.jpg", Path("/a/out")) == "../b%20c/%252e%23x%3F.jpg"
