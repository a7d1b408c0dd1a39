"""Connection to Milvus, whose errors are one line with the address."""

from __future__ import annotations

import logging
import time
from typing import Any

from asl.notices import notice
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
_QUIET = 3.0  # seconds of waiting without a word


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
        self,
        client: Any,
        uri: str,
        error: type[Exception],
        *,
        patience: float = 60.0,
        quiet: float = _QUIET,
    ) -> None:
        """Wrap a client.

        Args:
            client: of the library.
            uri: named in errors.
            error: class of the library's errors.
            patience: seconds that a server may take to find a collection that it knows.
            quiet: seconds of waiting without a word.
        """
        self._client = client
        self._uri = uri
        self._error = error
        self._patience, self._quiet = patience, quiet

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **keys: Any) -> Any:
            start = time.monotonic()
            while True:
                try:
                    return method(*args, **keys)
                except self._error as error:
                    if getattr(error, "code", None) != _CHANNEL_NOT_AVAILABLE:
                        raise AslError(f"milvus: {self._uri}: {error}") from error
                    self._wait(time.monotonic() - start, error)

        return call

    def _wait(self, waited: float, error: Exception) -> None:
        """Pause before the next attempt; say so once it takes long.

        Raises:
            AslError: the server had its time.
        """
        if waited > self._patience:
            raise AslError(
                f"milvus: {self._uri}: {error}; it was asked for {self._patience:g} s, as a server "
                "that starts may answer so: see if it is healthy, and run the command again"
            ) from error
        if waited > self._quiet:
            notice(
                f"milvus: {self._uri} does not have its collections yet, as a server that starts; "
                f"waiting for up to {self._patience:g} s"
            )
        time.sleep(_PAUSE)
