"""Connection to Milvus, whose errors are one line with the address."""

from __future__ import annotations

import logging
import time
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

_CHANNEL_NOT_AVAILABLE = 503  # code of an error of servers that are starting
_PAUSE = 0.2  # seconds between two attempts


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
    """A client whose errors are one line with the address.

    A server that has just been started answers before it has its collections; it is asked again.
    """

    def __init__(
        self, client: Any, uri: str, error: type[Exception], *, patience: float = 60.0
    ) -> None:
        """Wrap a client.

        Args:
            client: of the library.
            uri: named in errors.
            error: class of the library's errors.
            patience: seconds that a server may take to find a collection that it knows.
        """
        self._client = client
        self._uri = uri
        self._error = error
        self._patience = patience

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **keys: Any) -> Any:
            deadline = time.monotonic() + self._patience
            while True:
                try:
                    return method(*args, **keys)
                except self._error as error:
                    starting = getattr(error, "code", None) == _CHANNEL_NOT_AVAILABLE
                    if not starting or time.monotonic() > deadline:
                        raise AslError(f"milvus: {self._uri}: {error}") from error
                time.sleep(_PAUSE)

        return call
