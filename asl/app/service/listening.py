"""Listen on an address of this machine: socket, token, exposure."""

from __future__ import annotations

import errno
import ipaddress
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from asl.errors import AslError, UsageError

if TYPE_CHECKING:
    from fastapi import FastAPI

_SHORTEST_TOKEN = 6  # characters


def exit_on_signals() -> None:
    """Let SIGINT and SIGTERM end the process in order, with exit code 0."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            # The server ends its requests first and then passes the signal on to this.
            signal.signal(number, lambda *_: sys.exit(0))


def listen(app: FastAPI, listener: socket.socket, *, most: int) -> None:
    """Answer requests until a signal comes; ``most`` is the largest number of connections."""
    import uvicorn

    from asl.app.service.connections import WatchedConnection

    config = uvicorn.Config(
        app,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=10,
        limit_concurrency=most,
        http=WatchedConnection,
        ws="none",
    )
    uvicorn.Server(config).run(sockets=[listener])


def bound(host: str, port: int) -> socket.socket:
    """Bind a socket to the address; it listens only when the service can answer.

    Raises:
        UsageError: no such host or port.
        AslError: the port is in use, or this user may not bind it.
    """
    if not 0 <= port < 2**16:  # 0: any that is free
        raise UsageError(f"--port must be in 0..65535, got {port}")
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, OverflowError, UnicodeError) as error:
        raise UsageError(
            f"--host {host} --port {port}: there is no such address ({error})"
        ) from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if (
            os.name == "posix"
        ):  # a port whose last connections are still closing is free; elsewhere it means more
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise AslError(f"port {port} is in use; choose --port") from error
        raise AslError(f"--host {host} --port {port}: cannot listen there ({error})") from error
    return listener


def address(host: str, port: int) -> str:
    """Return the address for a browser; IPv6 addresses are put in brackets.

    >>> address("::1", 8765)
    'http://[::1]:8765'
    """
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def read_token(path: Path | None) -> str:
    """Return the token: the first line of a file, or variable ``ASL_TOKEN``; may be empty.

    Raises:
        UsageError: the file cannot be read, or the token is too short to be one.
    """
    token = os.environ.get("ASL_TOKEN", "")
    if path is not None:
        try:
            token = (path.read_text(encoding="utf-8").splitlines() or [""])[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise UsageError(f"--token-file: {str(path)!r} cannot be read ({reason})") from error
    if (token or path is not None) and (
        len(token) < _SHORTEST_TOKEN or not token.isascii() or " " in token
    ):
        raise UsageError(f"token: needs {_SHORTEST_TOKEN} or more ASCII characters without spaces")
    return token


def check_exposure(host: str, token: str) -> None:
    """Refuse to listen for other machines without a token.

    Raises:
        UsageError: the host is reachable from other machines and there is no token.
    """
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local and not token:
        raise UsageError(
            f"--host {host}: other machines could reach it; set ASL_TOKEN or --token-file first"
        )
