"""A link that leads nowhere is named as one, by messages and by readers of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl.app.library.sync import list_files
from asl.data.catalog import open_catalog
from asl.data.images import ImageError, decode_image, read_file
from asl.storage import absent, cache_folder, dead_link, make_folder, no_folder
from asl.types import AslError, UsageError


@pytest.fixture(params=["gone.jpg", "dead.jpg"], ids=["of nothing", "of itself"])
def link(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "dead.jpg"
    path.symlink_to(request.param)
    return path


def test_only_a_link_without_an_end_is_dead(tmp_path: Path, link: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "live").symlink_to("file")
    assert [dead_link(tmp_path / name) for name in ("file", "live", "none")] == [""] * 3
    assert dead_link(link) == f"a link to {link.readlink()}, which leads nowhere"
    assert absent(link) == f"{link} is {dead_link(link)}"
    assert absent(tmp_path / "none") == f"there is no {tmp_path / 'none'}"


def test_folders_are_made_and_files_in_their_place_are_named(tmp_path: Path, link: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_bytes(b"x")
    for path in (tmp_path / "file", tmp_path / "file" / "inside" / "deep"):
        said = rf"^output: {tmp_path / 'file'} is a file, not a folder; choose another path$"
        with pytest.raises(UsageError, match=said):
            make_folder(path, name="output")
    with pytest.raises(UsageError, match=r"dead\.jpg is a link to .*, which leads nowhere; choose"):
        make_folder(link)
    assert no_folder(tmp_path / "none") == f"there is no folder {tmp_path / 'none'}"


def test_a_cache_that_is_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x")
    monkeypatch.setenv("ASL_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=r"^ASL_CACHE: .*file is a file, not a folder; let it"):
        cache_folder()


def test_readers_name_a_dead_link(tmp_path: Path, link: Path) -> None:
    said = "a link to .*, which leads nowhere"
    with pytest.raises(OSError, match=said):
        read_file(link)
    with pytest.raises(ImageError, match=f"cannot be read: {said}"):
        decode_image(link)
    with pytest.raises(AslError, match=said):
        open_catalog(link)
    with pytest.raises(UsageError, match=rf"PHOTOS: .* is {said}; check"):
        list_files(link, role="PHOTOS")
    with pytest.raises(FileNotFoundError, match="No such file"):
        read_file(tmp_path / "none")
