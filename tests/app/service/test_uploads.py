from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the service needs `pip install asl-icd[serve]`")
from fastapi import Request
from fastapi.testclient import TestClient

from asl.app.service import uploads
from asl.app.service.uploads import BodyMemory, Gate, Refused, read_body
from asl.models import Embedder
from tests.app.conftest import encode, textured
from tests.app.service.conftest import JPEG, LIMIT, add, serving
from tests.data.crafted_pictures import DRAWN


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is large; its pixels are never there."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 10_000_000)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        (b"", JPEG, 422, "empty"),
        (b"not an image", JPEG, 422, "allowed format"),
        (encode(textured(0))[:4000], JPEG, 422, "truncated"),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            {"Content-Type": "image/svg+xml"},
            422,
            "allowed format",
        ),
        (bomb(30_000, 30_000), JPEG, 413, "pixels"),
        (bomb(2**31 - 1, 2**31 - 1), JPEG, 422, ""),
        (b"\xff" * (LIMIT + 1), JPEG, 413, "limit"),
        (
            b"x=1",
            {"Content-Type": "application/x-www-form-urlencoded"},
            415,
            "send the image itself",
        ),
        (b"{}", {"Content-Type": "application/json"}, 415, "send the image itself"),
        (
            b"--b\r\n\r\n",
            {"Content-Type": "multipart/form-data; boundary=b"},
            422,
            "no file 'image'",
        ),
        (zlib.compress(b"a"), {**JPEG, "Content-Encoding": "deflate"}, 415, "Content-Encoding"),
    ],
)
@pytest.mark.parametrize("route", ["/references", "/search"])
def test_hostile_uploads_are_refused_and_leave_nothing(
    client: TestClient,
    folder: Path,
    route: str,
    body: bytes,
    headers: dict[str, str],
    status: int,
    words: str,
) -> None:
    before = sorted(path.name for path in folder.rglob("*"))
    answer = client.post(route, content=body, headers=headers)
    assert answer.status_code in (status, 413), answer.text
    assert words in answer.json()["error"]
    assert str(folder) not in answer.text
    assert client.get("/references").json()["total"] == 0
    assert sorted(path.name for path in folder.rglob("*")) == before
    assert client.get("/ready").status_code == 200


def test_an_endless_stream_is_cut_off_at_the_limit(client: TestClient) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 65536
            yield b"\xff" * 65536

    answer = client.post("/search", content=endless(), headers=JPEG)
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    "label",
    [
        "../../etc/passwd",
        "..\\..\\boot.ini",
        "/etc/shadow",
        "a\x00b.jpg",
        "<img src=x>.jpg",
        "x" * 900,
        "\u202egnp.exe",
        "\n\r\t",
    ],
)
def test_a_label_is_text_and_never_a_path(client: TestClient, folder: Path, label: str) -> None:
    data = encode(textured(0))
    shown = add(client, data, label)["reference"]["label"]
    assert len(shown) <= 200
    assert "/" not in shown
    assert "\\" not in shown
    assert all(letter.isprintable() for letter in shown)
    places = {path.name for path in folder.iterdir()}
    of_store = {name for name in places if name.startswith("library.sqlite")}
    assert places == of_store | {"library-local.codes", "library-vectors"}
    for wrong in ("../library.sqlite", "%2e%2e%2flibrary.sqlite", "x" * 32, "0" * 31, "0" * 33):
        for method in ("GET", "DELETE"):
            assert client.request(method, f"/references/{wrong}").status_code in (404, 405, 422)
    assert client.get("/references").json()["total"] == 1


def test_too_many_at_once_are_told_to_come_back(embedder: Embedder, folder: Path) -> None:
    async def crowd() -> None:
        gate = Gate(2)
        async with gate.enter(), gate.enter():
            with pytest.raises(Refused, match="2 images are being worked on") as refused:
                async with gate.enter():
                    pass
            assert refused.value.status == 503
        assert gate.busy == 0, "places are given back"
        async with gate.enter():
            assert gate.busy == 1

    asyncio.run(crowd())
    with serving(embedder, folder, max_uploads=0) as client:
        answer = client.post("/search", content=encode(textured(0)), headers=JPEG)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def ignore(_: int) -> None:
    """Take no memory."""


def test_the_bytes_of_all_bodies_count_as_they_arrive_and_are_given_back() -> None:
    async def bodies() -> None:
        memory = BodyMemory(10)
        async with memory.share() as one, memory.share() as other:
            one(6)
            other(4)
            with pytest.raises(Refused, match="too many images arrive at once") as refused:
                other(1)
            assert (refused.value.status, refused.value.close) == (503, True)
        async with memory.share() as one:
            one(10)
        assert memory.used == 0

    asyncio.run(bodies())


def test_a_body_that_has_not_arrived_holds_no_place(embedder: Embedder, folder: Path) -> None:
    """There is one place: an upload waits for its body while another one is answered."""
    app = serving(embedder, folder, max_uploads=1).app

    async def search(*parts: bytes, after: asyncio.Event | None = None) -> int:
        left = list(parts)
        statuses = []

        async def receive() -> dict[str, object]:
            if after is not None and len(left) < len(parts):
                await after.wait()
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

        async def send(message: dict[str, int]) -> None:
            statuses.append(message.get("status"))

        headers = [(b"host", b"127.0.0.1"), (b"content-type", b"image/jpeg")]
        scope = {"type": "http", "method": "POST", "path": "/search", "headers": headers}
        await app({**scope, "query_string": b""}, receive, send)  # type: ignore[arg-type]
        return statuses[0]

    async def both() -> list[int]:
        arrived, image = asyncio.Event(), encode(textured(1))
        slow = asyncio.create_task(search(image[:1], image[1:], after=arrived))
        await asyncio.sleep(0.2)
        quick = await search(encode(textured(0)))
        arrived.set()
        return [quick, await slow]

    assert asyncio.run(both()) == [200, 200]


@pytest.mark.parametrize(
    ("pause", "size", "words"), [(60.0, 10, "nothing of the image"), (0.02, 1, "bytes/s or less")]
)
def test_a_body_that_trickles_is_ended(
    monkeypatch: pytest.MonkeyPatch, pause: float, size: int, words: str
) -> None:
    monkeypatch.setattr(uploads, "STALL_SECONDS", 0.2)

    async def receive() -> dict[str, object]:
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": b"x" * size, "more_body": True}

    async def read() -> None:
        scope = {"type": "http", "method": "POST", "headers": []}
        with pytest.raises(Refused, match=words) as refused:
            await read_body(Request(scope, receive), max_bytes=1000, seconds=30.0, take=ignore)
        assert (refused.value.status, refused.value.close) == (408, True)

    asyncio.run(read())


def test_a_picture_that_asks_for_too_much_is_422(client: TestClient) -> None:
    for name, words in (("jpeg: 5,000 scans", "over 64 scans"), ("png: 700,000", "chunks")):
        drawn = next(draw for full, (draw, _) in DRAWN.items() if full.startswith(name))
        answer = client.post("/search", content=drawn()[:LIMIT], headers=JPEG)
        assert answer.status_code == 422
        assert words in answer.json()["error"]
