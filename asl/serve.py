"""``python -m asl.serve``: a copy detector as a service on this machine.

The options and their explanation are in :mod:`asl.console.schemas.serve_config`.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from asl.console.entry import EntryPoint
from asl.console.schemas.serve_config import ServeConfig
from asl.console.terminal_text import terminal_text
from asl.errors import AslError, UsageError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from asl.app.detector import CopyDetector

_SHORTEST_TOKEN = 6  # characters
_CONNECTIONS = 512  # a new one has time to speak before it is the oldest


def run(options: ServeConfig) -> int:
    """Check the arguments, open the library, listen."""
    token = read_token(options.token_file)
    check_exposure(options.host, token)
    for key in ("max_megabytes", "max_megapixels", "max_uploads", "workers"):
        value = getattr(options, key)
        if value <= 0:
            raise UsageError(f"--{key.replace('_', '-')} must be above 0, got {value:g}")
    try:
        from asl.app.service.guard import ServiceOptions
        from asl.app.service.routes import create_app
    except ImportError as error:
        raise AslError(
            f"`pip install asl-icd[serve]` gives what the service needs ({error})"
        ) from error

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            # The server ends its requests first and then passes the signal on to this.
            signal.signal(number, lambda *_: sys.exit(0))
    # The port first: what would be refused is refused before a folder is added.
    with (
        bound(options.host, options.port) as listener,
        alone(options.library),
        open_detector(options) as detector,
    ):
        if options.add:
            _add_first(detector, options.add)
        limits = ServiceOptions(
            token=token,
            hosts=("127.0.0.1", "localhost", "::1", options.host, *options.allow_host),
            max_bytes=int(2**20 * options.max_megabytes),
            max_uploads=options.max_uploads,
            workers=options.workers,
        )
        where = address(options.host, listener.getsockname()[1])
        print(f"{len(detector)} references in {options.library}; {where}", flush=True)
        _listen(
            create_app(detector, limits), listener, most=max(_CONNECTIONS, 8 * options.max_uploads)
        )
    return 0


def _listen(app: FastAPI, listener: socket.socket, *, most: int) -> None:
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


@contextmanager
def alone(library: Path) -> Iterator[None]:
    """Lock a library: two services would not see what the other adds and removes.

    Raises:
        AslError: another service has it.
        UsageError: it is a file.
    """
    from asl.storage import exclusive_lock

    if library.exists() and not library.is_dir():
        raise UsageError(f"--library: {library} is a file, not a folder")
    library.mkdir(parents=True, exist_ok=True)
    busy = f"{library}: another asl serve has it open; stop that one or choose --library"
    with exclusive_lock(library / "serve.lock", busy=busy):
        yield


def address(host: str, port: int) -> str:
    """Return the address for a browser; IPv6 addresses are put in brackets.

    >>> address("::1", 8765)
    'http://[::1]:8765'
    """
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def open_detector(options: ServeConfig) -> CopyDetector:
    """Open the detector; references lacking the regions are embedded first."""
    from asl.app.detector import CopyDetector
    from asl.console.progress import progress_bar
    from asl.data.decode_budget import keep_warm

    keep_warm(options.workers)
    with ExitStack() as stack:
        bars: list[Callable[[int, int], None]] = []

        def progress(done: int, total: int) -> None:
            if not bars:  # only where there is something to do
                bars.append(
                    stack.enter_context(
                        progress_bar(f"embedding regions ({options.regions})", unit="images")
                    )
                )
            bars[0](done, total)

        detector = CopyDetector(
            options.model,
            folder=options.library,
            precision=options.precision,
            device=options.device,
            max_pixels=int(1e6 * options.max_megapixels),
            regions=options.regions,
            isolate=True,
            progress=progress,
        )
        if options.check_files:
            detector.store.check()
        return detector


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


def _add_first(detector: CopyDetector, photos: Path) -> None:
    """Add a folder by content, as uploads are, so that no image is stored twice."""
    from asl.app.library.sources import by_content
    from asl.console.progress import progress_bar

    with progress_bar("adding", unit="images") as progress:
        added = detector.add_sources(*by_content(photos), progress=progress)
    if added.failures:
        print(f"{len(added.failures)} images are left out:", file=sys.stderr)
    for name, reason in added.failures:
        print(f"  {terminal_text(f'{name}: {reason}')}", file=sys.stderr)


main = EntryPoint("serve", run)

if __name__ == "__main__":
    main()
