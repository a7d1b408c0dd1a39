"""Connection to Milvus, whose errors are one line with the address."""

from __future__ import annotations

import logging
from typing import Any

from asl.types import AslError

# Log levels that silence tracebacks: the client logs one for every error that it also raises, and
# milvus-lite one for calls that it lacks and that are not needed here.
_LOG_LEVELS = {
    "pymilvus": logging.CRITICAL,
    "milvus_lite": logging.ERROR,
    "faiss.loader": logging.WARNING,
    "grpc._server": logging.CRITICAL,
}


def connected(uri: str, token: str) -> ErrorNamingClient:
    """Connect to a server, or open a milvus-lite file.

    Args:
        uri: a file name that ends in ``.db`` (milvus-lite) or the address of a server.
        token: of the server; may be empty.

    Raises:
        AslError: pymilvus is missing, or Milvus cannot be reached.
    """
    try:
        from pymilvus import MilvusClient, MilvusException
    except ImportError as error:
        raise AslError(
            "milvus: pymilvus is not installed; `pip install 'asl-icd[milvus]'`"
        ) from error
    for name, level in _LOG_LEVELS.items():
        logging.getLogger(name).setLevel(level)
    try:
        return ErrorNamingClient(MilvusClient(uri, token=token), uri, MilvusException)
    except MilvusException as error:
        raise AslError(f"milvus: {uri}: {error}") from error


class ErrorNamingClient:
    """A client whose errors are one line with the address."""

    def __init__(self, client: Any, uri: str, error: type[Exception]) -> None:
        self._client = client
        self._uri = uri
        self._error = error

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **keys: Any) -> Any:
            try:
                return method(*args, **keys)
            except self._error as error:
                raise AslError(f"milvus: {self._uri}: {error}") from error

        return call
