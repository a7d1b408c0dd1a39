"""Errors of Milvus are one line with the address."""

from __future__ import annotations

import subprocess
import sys

import pytest

from asl.index.milvus.connection import ErrorNamingClient
from asl.types import AslError


class Client:
    """A client that fails with its own class of errors."""

    def load(self, name: str, *, fails: bool) -> str:
        if fails:
            raise LookupError(f"no {name}")
        return name


def test_its_errors_name_the_address_and_others_pass() -> None:
    client = ErrorNamingClient(Client(), "http://milvus.example:19530", LookupError)
    assert client.load("references", fails=False) == "references"
    with pytest.raises(AslError, match=r"^milvus: http://milvus\.example:19530: no references$"):
        client.load("references", fails=True)
    with pytest.raises(TypeError):
        client.load()


class StartingError(Exception):
    """An error of a server that has not found its collections yet."""

    code = 503


class Starting:
    """A client of a server that needs some attempts."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def query(self) -> str:
        self.failures -= 1
        if self.failures >= 0:
            raise StartingError("channel not available")
        return "rows"


def test_a_server_that_starts_is_asked_again_for_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert ErrorNamingClient(Starting(2), "uri", StartingError).query() == "rows"
    assert not caplog.records, "a short wait needs no word"
    with pytest.raises(
        AslError, match=r"^milvus: uri: channel not available; it was asked for 0\.3 s, .* again$"
    ):
        ErrorNamingClient(Starting(99), "uri", StartingError, patience=0.3).query()


# A verb whose server starts: the sentence reaches the terminal, once, and nothing else does.
VERB = """
from asl.console.entry import EntryPoint
from asl.index.milvus.connection import ErrorNamingClient

class Starting(Exception):
    code = 503

class Client:
    left = 3
    def query(self):
        self.left -= 1
        if self.left >= 0:
            raise Starting("channel not available")
        self.left = 3
        return "rows"

def run(config):
    client = ErrorNamingClient(Client(), "http://\\x1b[2Jhost", Starting, quiet=0.1)
    print(client.query(), client.query())

EntryPoint("search", run)(["queries=q", "references=r", "output=o.csv"])
"""


def test_a_long_wait_is_told_once_on_the_terminal() -> None:
    done = subprocess.run([sys.executable, "-c", VERB], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "rows rows\n")
    assert done.stderr == (
        "milvus: http://\\x1b[2Jhost does not have its collections yet, as a server that starts; "
        "waiting for up to 60 s\n"
    )
