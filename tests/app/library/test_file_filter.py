from __future__ import annotations

from pathlib import Path

import pytest

from asl.app.library.file_filter import FileFilter


@pytest.mark.parametrize(
    ("pattern", "left_out"),
    [
        ("*.png", {"a.png", "thumbs/b.png"}),
        ("thumbs", {"thumbs/b.png", "thumbs/deep/c.jpg"}),
        ("thumbs/*", {"thumbs/b.png", "thumbs/deep/c.jpg"}),
        ("*/deep/*", {"thumbs/deep/c.jpg"}),
        ("photos", set()),
    ],
)
def test_patterns_name_files_folders_and_paths_inside(pattern: str, left_out: set[str]) -> None:
    """The name of the scanned folder itself leaves nothing out."""
    files = ("a.png", "a.jpg", "thumbs/b.png", "thumbs/deep/c.jpg")
    chosen = FileFilter([pattern])
    assert {name for name in files if not chosen.keeps(f"/photos/{name}", "/photos")} == left_out


def test_small_files_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x" * 1000)
    chosen = FileFilter(min_bytes=1000)
    assert chosen.keeps(str(tmp_path / "a.jpg"), str(tmp_path))
    assert not FileFilter(min_bytes=1001).keeps(str(tmp_path / "a.jpg"), str(tmp_path))
    assert chosen.keeps(str(tmp_path / "gone.jpg"), str(tmp_path)), "listed as unreadable later"
    assert FileFilter().keeps(str(tmp_path / "a.jpg"), str(tmp_path))
