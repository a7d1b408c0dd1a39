"""Text files have their checksums in a list beside them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from asl.storage import (
    CHECKSUM_LIST,
    ReadError,
    is_as_written,
    read_checksums,
    recorded,
    remove_stale,
)


def written(path: Path, text: str = "query_id,reference_id\na,b\n") -> Path:
    with recorded(path):
        path.write_text(text)
    return path


def test_a_text_is_as_written_until_it_is_edited(tmp_path: Path) -> None:
    first, second = written(tmp_path / "première copie.csv"), written(tmp_path / "b.csv", "other")
    assert is_as_written(first)
    first.write_text("query_id,reference_id\na,c\n")
    with pytest.raises(ReadError, match=r"première copie.csv: edited or damaged since asl wrote"):
        is_as_written(first)
    assert is_as_written(second)
    assert is_as_written(written(first, "again"))


def test_a_file_from_elsewhere_has_no_checksum(tmp_path: Path) -> None:
    other = tmp_path / "theirs.csv"
    other.write_text("a,b\n")
    assert not is_as_written(other)
    written(tmp_path / "ours.csv")
    assert not is_as_written(other)


def test_a_writer_that_fails_leaves_no_checksum(tmp_path: Path) -> None:
    path = written(tmp_path / "p.csv")
    with pytest.raises(RuntimeError), recorded(path):
        raise RuntimeError
    assert path.exists()
    assert not is_as_written(path)


def test_files_that_are_gone_leave_the_list(tmp_path: Path) -> None:
    written(tmp_path / "a.csv").unlink()
    written(tmp_path / "b.csv")
    assert list(read_checksums(tmp_path)) == ["b.csv"]


def test_only_what_an_earlier_run_wrote_is_stale(tmp_path: Path) -> None:
    ours, edited, theirs = (tmp_path / name for name in ("a.csv", "b.csv", "c.csv"))
    written(ours)
    written(edited).write_text("with notes of mine")
    theirs.write_text("not asl's")
    for path in (ours, edited, theirs, tmp_path / "none.csv"):
        remove_stale(path)
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["b.csv", "c.csv"]


@pytest.mark.parametrize("text", ["no checksum\n", "0" * 64 + "\n", "g" * 64 + "  a.csv\n"])
def test_a_damaged_list_is_named_and_written_anew(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "a.csv")
    (tmp_path / CHECKSUM_LIST).write_text(text)
    with pytest.raises(ReadError, match=rf"{CHECKSUM_LIST}: damaged \(line 1"):
        is_as_written(path)
    assert is_as_written(written(path))


def test_a_list_that_cannot_be_written_costs_the_checksum_only(tmp_path: Path) -> None:
    (tmp_path / CHECKSUM_LIST).mkdir()
    assert not is_as_written(written(tmp_path / "a.csv"))


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_other_tools_compare_the_list(tmp_path: Path) -> None:
    path = written(tmp_path / "a b.csv")
    command = ["sha256sum", "--check", "--status", "--strict", CHECKSUM_LIST]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    path.write_text("edited")
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 1
