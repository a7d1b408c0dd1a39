"""Silent clients are closed, and take no place from the others."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the service needs `pip install asl-icd[serve]`")
import uvicorn

from asl.app.service import connections
from asl.app.service.connections import WatchedConnection

MOST = 20
Send = Callable[[dict[str, Any]], Any]


async def answer(scope: dict[str, Any], receive: Any, send: Send) -> None:
    """Answer `ok`; /slow after a second, a POST after its body; refuse one to /refused."""
    if scope["path"] == "/refused":
        headers = [(b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": b"too large"})
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(1.0)
    if scope["method"] == "POST":
        while (await receive()).get("more_body"):
            pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[uvicorn.Server]:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 2.0)
    config = uvicorn.Config(
        answer,  # type: ignore[arg-type]
        port=0,
        http=WatchedConnection,
        ws="none",
        lifespan="off",
        log_level="error",
        limit_concurrency=MOST,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server
    server.should_exit = True
    thread.join()


def address(server: uvicorn.Server) -> tuple[str, int]:
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    return host, port


def get(server: uvicorn.Server, path: str) -> bytes:
    host, port = address(server)
    with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=20) as reply:
        return bytes(reply.read())


@contextlib.contextmanager
def clients(server: uvicorn.Server, count: int, said: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that say a beginning and no more."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            opened.append(stack.enter_context(socket.create_connection(address(server), 20)))
            opened[-1].sendall(said)
        yield opened


@pytest.mark.parametrize(
    "said", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"]
)
def test_everyone_is_answered_beside_two_hundred_slow_clients(
    server: uvicorn.Server, said: bytes
) -> None:
    with clients(server, 200, said):
        for _ in range(5):
            assert get(server, "/health") == b"ok"
        assert len(server.server_state.connections) <= MOST + 1


def test_a_request_in_work_keeps_its_connection(server: uvicorn.Server) -> None:
    replies: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: replies.append(get(server, "/slow"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    with clients(server, 100):
        for thread in threads:
            thread.join()
    assert replies == [b"ok"] * 4


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHost:", b"HTTP/1.1 408"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /", b"HTTP/1.1 200"),
    ],
)
def test_headers_have_a_deadline(server: uvicorn.Server, said: bytes, heard: bytes) -> None:
    """Also those of the next request on a connection."""
    with clients(server, 1, said) as (client,):
        reply = b""
        while part := client.recv(1000):
            reply += part
    assert reply.startswith(heard)
    assert bool(reply) == bool(heard)


def test_drops_of_a_header_do_not_extend_the_deadline(server: uvicorn.Server) -> None:
    with clients(server, 1, b"GET / HTTP/1.1\r\n") as (client,):
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() < began + 20:
                client.sendall(b"a: b\r\n")
                time.sleep(0.1)
        assert time.monotonic() < began + 19


def refused(server: uvicorn.Server, size: int) -> bytes:
    """The answer to an upload that is read by a client only after it was sent."""
    said = b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size
    with clients(server, 1, said) as (client,):
        for _ in range(size // 65536):
            client.sendall(b"x" * 65536)
        reply = b""
        while part := client.recv(1000):
            reply += part
    return reply


def test_the_answer_to_a_refused_upload_arrives(server: uvicorn.Server) -> None:
    for _ in range(5):
        reply = refused(server, 24 * 2**20)
        assert reply.startswith(b"HTTP/1.1 413")
        assert b"too large" in reply


def test_the_rest_of_a_refused_upload_has_bounds(
    server: uvicorn.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "DRAIN_BYTES", 2**20)
    with pytest.raises(OSError):  # reset or broken pipe
        refused(server, 64 * 2**20)
    monkeypatch.setattr(connections, "DRAIN_SECONDS", 0.5)
    said = b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"
    with clients(server, 1, said) as (client,):
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while client.recv(1000):
                pass
            while time.monotonic() < began + 20:
                client.sendall(b"x")
                time.sleep(0.05)
        assert 0.4 < time.monotonic() - began < 10
    assert get(server, "/health") == b"ok"
    assert len(server.server_state.connections) <= 1
