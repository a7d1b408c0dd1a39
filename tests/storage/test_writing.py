"""Files are whole or not there: kills, full disks, links and forbidden folders."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asl.storage import (
    WriteError,
    atomic_binary,
    atomic_folder,
    atomic_path,
    atomic_text,
    read_json,
    write_bytes,
    write_json,
    writing,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    with atomic_text(target) as file:
        file.write("ä\r\n")
        assert not target.exists()
        assert [name for name in names(target.parent) if name.endswith(".part")]
    assert target.read_bytes() == "ä\r\n".encode()
    assert names(target.parent) == ["a.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a"
    write_bytes(target, b"old")

    def fail() -> None:
        with atomic_binary(target) as file:
            file.write(b"new")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_names_the_final_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        WriteError, match=rf"{tmp_path}/a: cannot be written .*; free some"
    ) as caught:
        write_bytes(tmp_path / "a", b"x")
    assert caught.value.errno == number
    assert caught.value.disk_full
    assert names(tmp_path) == []


def test_a_file_beyond_the_limit_of_the_process(tmp_path: Path) -> None:
    """A real failing write, of a library that writes to the name itself."""
    code = (
        "import resource, signal, sys; from asl.storage import write_bytes, WriteError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_bytes(sys.argv[1], bytes(5000))\n"
        "except WriteError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a")], capture_output=True, text=True
    )
    assert (
        done.stdout == f"{tmp_path}/a: cannot be written (File too large); choose another place\n"
    )
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_forbidden_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(WriteError, match="may be written"):
            write_bytes(tmp_path / "a", b"x")
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"")
    with pytest.raises(WriteError, match=r"file/a: cannot be written"):
        write_bytes(tmp_path / "file" / "a", b"x")


def test_errors_about_other_files_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"), atomic_text(tmp_path / "a"):
        (tmp_path / "absent").read_text()
    assert names(tmp_path) == []


def test_a_temporary_name_that_is_a_link_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    link = tmp_path / ".a.part"
    link.symlink_to(victim)
    monkeypatch.setattr(writing, "_temporary", lambda path: link)
    with pytest.raises(WriteError, match=r"a: cannot be written \(File exists\)"):
        write_bytes(tmp_path / "a", b"x")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", ["file/a", "file/b/a"])
def test_a_file_in_the_place_of_the_folder_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(WriteError, match=r"a: cannot be written \(a file is where its folder"):
        write_bytes(tmp_path / name, b"x")
    assert (tmp_path / "file").read_text() == "precious"


def test_a_temporary_file_that_becomes_a_link_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")

    def swapped(path: Path) -> None:
        with atomic_path(path) as temporary:
            temporary.unlink()
            temporary.symlink_to(victim)
            os.close(writing._open_no_link(str(temporary), os.O_WRONLY))

    with pytest.raises(WriteError, match="symbolic links"):
        swapped(tmp_path / "a")
    assert victim.read_text() == "precious"


def test_the_target_keeps_its_usual_permissions(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_name_of_the_longest_length_can_be_written(tmp_path: Path) -> None:
    write_bytes(tmp_path / ("ж" * 127), b"x")
    assert len(names(tmp_path)) == 1


def test_json_is_strict_and_readable(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"ä": [1, None]})
    assert read_json(tmp_path / "a.json", remedy="") == {"ä": [1, None]}
    assert "ä" in (tmp_path / "a.json").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "made") as folder:
        (folder / "a").write_text("x")
        assert not (tmp_path / "made").exists()
    assert names(tmp_path) == ["made"]

    def fail() -> None:
        with atomic_folder(tmp_path / "other") as folder:
            (folder / "a").write_text("x")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    with (
        pytest.raises(WriteError, match=r"made: cannot be written"),
        atomic_folder(tmp_path / "made"),
    ):
        pass
    assert names(tmp_path) == ["made"]


WRITER = """
import sys
from asl.storage import atomic_binary
with atomic_binary(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(os.name != "posix", reason="other systems say nothing of dead processes")
def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_writes_is_not(
    tmp_path: Path,
) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "a")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"writing\n"
        writers[0].send_signal(signal.SIGKILL)
        writers[0].communicate()
        assert not (tmp_path / "a").exists()
        assert len(names(tmp_path)) == 2
        write_bytes(tmp_path / "b", b"x")
        assert len(names(tmp_path)) == 2, "b, and the file of the living writer"
    finally:
        writers[1].communicate()
    assert names(tmp_path) == ["a", "b"]
    assert (tmp_path / "a").read_bytes() == b"half"


def test_what_another_machine_left_goes_after_a_day(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / f".{name}.000000-1-00000000.part").touch()
    (tmp_path / "mine.part").touch()
    (tmp_path / ".folder.000000-1-00000000.part").mkdir()
    yesterday = time.time() - 25 * 3600
    for name in (".old.000000-1-00000000.part", ".folder.000000-1-00000000.part", "mine.part"):
        os.utime(tmp_path / name, (yesterday, yesterday))
    write_bytes(tmp_path / "a", b"")
    assert names(tmp_path) == [".new.000000-1-00000000.part", "a", "mine.part"]


def test_writers_of_one_name_do_not_mix(tmp_path: Path) -> None:
    with atomic_binary(tmp_path / "a") as first, atomic_binary(tmp_path / "a") as second:
        first.write(b"1" * 1000)
        second.write(b"2" * 10)
    assert (tmp_path / "a").read_bytes() == b"1" * 1000, "the last one that ends"
