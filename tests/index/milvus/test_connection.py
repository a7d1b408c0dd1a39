"""Errors of Milvus are one line with the address."""

from __future__ import annotations

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


def test_a_server_that_starts_is_asked_again_for_a_while() -> None:
    assert ErrorNamingClient(Starting(2), "uri", StartingError).query() == "rows"
    with pytest.raises(AslError, match=r"^milvus: uri: channel not available$"):
        ErrorNamingClient(Starting(99), "uri", StartingError, patience=0.3).query()
