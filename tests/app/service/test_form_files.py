"""Files of multipart forms: whole at any size of the chunks, bounded, refused where malformed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

pytest.importorskip("fastapi", reason="the service needs `pip install asl-icd[serve]`")
from fastapi import Request

from asl.app.service.form_files import FormFile, is_form, read_form
from asl.app.service.uploads import BodyMemory, Refused

HEAD = b'--b\r\nContent-Disposition: form-data; name="images"; filename="%s"\r\n\r\n'


def form(*files: tuple[bytes, bytes]) -> bytes:
    """The body of a form of (file name, data)."""
    return b"".join(HEAD % name + data + b"\r\n" for name, data in files) + b"--b--\r\n"


def request_of(body: bytes, step: int, kind: str) -> Request:
    chunks = [body[start : start + step] for start in range(0, len(body), step)]

    async def receive() -> dict[str, object]:
        chunk = chunks.pop(0) if chunks else b""
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())]}
    return Request(scope, receive)


def read(
    body: bytes,
    *,
    step: int = 7,
    most: int = 3,
    kind: str = "multipart/form-data; boundary=b",
    memory: BodyMemory | None = None,
    max_bytes: int = 2000,
) -> list[FormFile]:
    memory = memory or BodyMemory(10_000)

    async def run() -> list[FormFile]:
        async with memory.share() as take:
            return await read_form(
                request_of(body, step, kind),
                field="images",
                most=most,
                max_bytes=max_bytes,
                max_file_bytes=500,
                seconds=5,
                take=take,
            )

    files = asyncio.run(run())
    assert memory.used == 0
    return files


@pytest.mark.parametrize("step", [1, 2, 13, 10_000])
def test_files_arrive_whole_at_any_size_of_the_chunks(step: int) -> None:
    data = (b"\r\n--", b"\r\n--x\r\n--" * 20, b"", bytes(range(256)))
    body = form(*((b"%d.jpg" % number, part) for number, part in enumerate(data[:3])))
    files = read(body, step=step)
    assert [file.data for file in files] == list(data[:3])
    assert [file.label for file in files] == ["0.jpg", "1.jpg", "2.jpg"]
    assert read(form((b"x", data[3])), step=step)[0].data == data[3]


def test_labels_are_text_and_never_a_path() -> None:
    labels = [b"../../etc/passwd", b"C:\\\\x\\\\boot.ini", "\u202eé.jpg".encode()]
    assert [file.label for file in read(form(*((label, b"x") for label in labels)))] == [
        *("passwd", "boot.ini", "é.jpg")
    ]


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (form(*[(b"x", b"y")] * 4), "", 413, "3 files at most"),
        (form((b"x", b"y" * 501)), "", 413, "limit of 500 bytes"),
        (form((b"x", b"y"))[:-8], "", 422, "before its last boundary"),
        (b"--b--\r\n", "", 422, ""),
        (b"", "", 422, "before its last boundary"),
        (b"no form at all", "", 422, "malformed"),
        (form((b"x", b"y")), "multipart/form-data", 422, "no boundary"),
        (form((b"x", b"y")), "multipart/form-data; boundary=" + "b" * 71, 422, "boundary"),
        (HEAD.replace(b"images", b"other") % b"x" + b"y\r\n--b--\r\n", "", 422, "'other'"),
        (
            b'--b\r\nContent-Disposition: form-data; name="images"\r\n\r\ny\r\n--b--\r\n',
            "",
            422,
            "no file",
        ),
        (b"--b\r\n\r\ny\r\n--b--\r\n", "", 422, "no file"),
        (b"--b\r\n" + b"X: y\r\n" * 30 + b"\r\ny\r\n--b--\r\n", "", 422, "malformed"),
        (b"--b\r\nX: " + b"y" * 6000 + b"\r\n\r\ny\r\n--b--\r\n", "", 413, "2000"),
    ],
)
def test_other_forms_are_refused(body: bytes, kind: str, status: int, words: str) -> None:
    with pytest.raises(Refused) as refused:
        read(body, kind=kind or "multipart/form-data; boundary=b")
    assert (refused.value.status, words in refused.value.reason) == (status, True)


def test_a_long_header_is_refused_before_the_body_ends() -> None:
    body = b"--b\r\nX: " + b"y" * 6000 + b"\r\n\r\ny\r\n--b--\r\n"
    with pytest.raises(Refused, match="malformed"):
        read(body, max_bytes=10_000)


def test_forms_share_the_memory_of_all_uploads() -> None:
    with pytest.raises(Refused, match="too many images arrive at once") as refused:
        read(form((b"x", b"y" * 300)), memory=BodyMemory(200))
    assert refused.value.status == 503


def test_a_form_is_bounded_as_a_whole() -> None:
    with pytest.raises(Refused, match="more than the limit of 600 bytes") as refused:
        read(form((b"x", b"y" * 400), (b"x", b"y" * 400)), max_bytes=600)
    assert (refused.value.status, refused.value.close) == (413, True)


def test_a_form_is_known_by_its_type() -> None:
    assert is_form(request_of(b"", 1, "Multipart/Form-Data; boundary=b"))
    assert not is_form(request_of(b"", 1, "image/jpeg"))


def test_a_slow_form_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asl.app.service.uploads.STALL_SECONDS", 0.05)

    async def silent() -> AsyncIterator[bytes]:
        yield HEAD % b"x"
        await asyncio.sleep(5)
        yield b"y"

    request = request_of(b"", 1, "multipart/form-data; boundary=b")
    monkeypatch.setattr(request, "stream", silent)

    async def run() -> None:
        await read_form(
            request,
            field="images",
            most=1,
            max_bytes=100,
            max_file_bytes=100,
            seconds=5,
            take=lambda count: None,
        )

    with pytest.raises(Refused, match="nothing of the image came") as refused:
        asyncio.run(run())
    assert refused.value.status == 408


@pytest.mark.parametrize("seed", range(3))
def test_damaged_forms_are_read_or_refused(seed: int) -> None:
    rng = random.Random(seed)
    whole = form((b"a.jpg", bytes(range(200))), (b"b.jpg", b"\r\n--\r\n" * 9))
    for _ in range(120):
        body = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            place = rng.randrange(len(body))
            body[place : place + rng.randrange(4)] = rng.choice(
                (b"", b"\r", b"\n", b"--b", b'"', b";", b"\0", b"\xff", b"\r\n\r\n", b"a" * 50)
            )
        with contextlib.suppress(Refused):  # any other error is a fault
            files = read(bytes(body), step=rng.choice((1, 5, 64, 5000)))
            assert sum(len(file.data) for file in files) <= len(body)
