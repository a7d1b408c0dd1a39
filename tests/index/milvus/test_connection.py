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
