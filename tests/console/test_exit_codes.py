"""Errors of a verb become one line and an exit code."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from asl.console.exit_codes import STOPPED, exit_code, keep_memory, report
from asl.types import AslError, UsageError


def test_an_error_keeps_its_lines_and_no_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(f"{Path('a' + chr(27) + '[1m')}: damaged\ndelete it", 1) == 1
    assert capsys.readouterr().err == "error: a\\x1b[1m: damaged\ndelete it\n"


def raising(error: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise error

    return work


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


class MisconfigurationException(Exception):
    """Named as Lightning names its own."""


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UsageError("k: wrong"), 2, "error: k: wrong"),
        (AslError("store: damaged"), 1, "error: store: damaged"),
        (KeyboardInterrupt(), STOPPED, "error: stopped; the same command resumes"),
        (FileExistsError(17, "File exists", "out"), 2, "error: out: a file is where a folder"),
        (NotADirectoryError(20, "Not a directory", "a/b"), 2, "error: a/b: a file is where"),
        (
            FileNotFoundError(2, "No such file", "a/b"),
            1,
            "error: a/b: No such file; check the path",
        ),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (sqlite3.DatabaseError("file is not a database"), 1, "error: file is not a database"),
        (BrokenProcessPool("a worker died"), 1, "error: a worker died"),
        (OutOfMemoryError("CUDA out of memory\ndetails"), 1, "lower data.identities, batch_size"),
        (MisconfigurationException("no such strategy"), 2, "error: no such strategy"),
    ],
)
def test_an_error_is_one_line_and_a_code(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(raising(error)) == code
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.err.startswith("error: ")
    assert len(printed.err.splitlines()) == 1
    assert not printed.out


def test_codes_of_work_that_ends_are_its_own() -> None:
    assert [exit_code(lambda code=code: code) for code in (None, 0, 3)] == [0, 0, 3]


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_code(lambda: 1 // 0)


def test_a_machine_without_glibc_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(name: str) -> object:
        raise OSError(f"{name}: cannot open shared object file")

    keep_memory()
    monkeypatch.setattr("ctypes.CDLL", no_library)
    keep_memory()
