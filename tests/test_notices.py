"""A sentence of a lower room reaches people, once and without a place in the code."""

from __future__ import annotations

import subprocess
import sys

import pytest

from asl.notices import NOTICES, notice


def test_a_sentence_is_given_once(caplog: pytest.LogCaptureFixture) -> None:
    for text in ("waiting for 60 % of it", "waiting for 60 % of it", "another"):
        notice(text)
    assert [record.getMessage() for record in caplog.records] == [
        "waiting for 60 % of it",
        "another",
    ]
    assert {record.name for record in caplog.records} == {NOTICES.name}


def test_a_program_without_handlers_prints_the_sentence_alone() -> None:
    program = "from asl.notices import notice; notice('a sentence')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("", "a sentence\n", 0)
