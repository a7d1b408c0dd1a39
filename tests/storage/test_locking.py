"""Locks exclude processes and threads, and end with their holder."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from asl.storage import exclusive_lock
from asl.types import AslError

HOLDER = """
import os, sys, pathlib, time
from asl.storage import exclusive_lock
with exclusive_lock(pathlib.Path(sys.argv[1]), busy="busy", wait=0.1):
    if sys.argv[2:] and os.fork() == 0:
        time.sleep(1)  # a worker that outlives its killed parent for a moment
        os._exit(0)
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(path: Path, *more: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HOLDER, str(path), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_another_process_is_refused_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "folder" / ".lock"
    process = hold(path)
    try:
        with (
            pytest.raises(AslError, match=r"^taken$"),
            exclusive_lock(path, busy="taken", wait=0.2),
        ):
            pass
    finally:
        process.communicate()
    with exclusive_lock(path, busy="taken", wait=0):
        assert path.exists()
    assert not path.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_killed_holder_frees_it_though_its_worker_lives_on(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    process = hold(path, "fork")
    process.send_signal(signal.SIGKILL)
    with exclusive_lock(path, busy="taken"):
        assert path.exists()
    process.communicate()


def test_threads_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    inside = most = 0
    refused: list[BaseException] = []

    def work() -> None:
        nonlocal inside, most
        try:
            with exclusive_lock(path, busy="taken", wait=20):
                inside += 1
                most = max(most, inside)
                time.sleep(0.02)
                inside -= 1
        except AslError as error:
            refused.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert not refused
    with (
        exclusive_lock(path, busy="taken"),
        pytest.raises(AslError),
        exclusive_lock(path, busy="taken", wait=0),
    ):
        pass


def test_the_block_runs_where_no_lock_can_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with exclusive_lock(tmp_path / "file" / ".lock", busy="taken"):
        pass
    for error in (OSError(38, "Function not implemented"), NotImplementedError()):

        def refuse(_: FileLock, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr(FileLock, "acquire", refuse)
        with exclusive_lock(tmp_path / ".lock", busy="taken"):
            pass


@pytest.mark.skipif(sys.platform == "win32", reason="flock is of Unix")
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_locks_in_the_file_system_one_sentence_says_what_is_not_protected(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import fcntl

    def refuse(file: int, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for _ in range(2):
        with exclusive_lock(tmp_path / ".lock", busy="taken") as is_held:
            assert not is_held
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}: its file system has no locks; let only one command at a time write there, "
        "nothing else prevents damage"
    ]


def test_a_folder_that_may_not_be_written_needs_no_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with exclusive_lock(tmp_path / "file" / ".lock", busy="taken") as is_held:
        assert not is_held
    with exclusive_lock(tmp_path / ".lock", busy="taken") as is_held:
        assert is_held
    assert not caplog.records


def test_an_error_in_the_block_frees_it(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), exclusive_lock(tmp_path / ".lock", busy="taken"):
        raise RuntimeError
    with exclusive_lock(tmp_path / ".lock", busy="taken", wait=0):
        pass
