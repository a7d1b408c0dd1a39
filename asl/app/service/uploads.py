"""Read request bodies into memory within limits; nothing is written to disk or fetched."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

from fastapi import Request
from starlette.requests import ClientDisconnect

from asl.counts import counted

MOST_LABEL = 200  # characters
STALL_SECONDS = 5.0  # without any data
LEAST_RATE = 4096  # bytes a second on average, after as many seconds
ACCEPTED_TYPES = ("image/", "application/octet-stream", "binary/octet-stream")


class Refused(Exception):  # noqa: N818
    """A request that is answered with an error.

    Attributes:
        status: HTTP status code.
        reason: for the client.
        close: True if the connection closes, because the rest of the body is not read.
    """

    def __init__(self, status: int, reason: str, *, close: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.close = close


async def read_body(
    request: Request, *, max_bytes: int, seconds: float, take: Callable[[int], None]
) -> bytes:
    """Read the body of a request, which is the image itself.

    Args:
        request: its declared length is not trusted; the bytes that arrive are counted.
        max_bytes: more is refused as soon as it has arrived (413).
        seconds: in which the whole body has to arrive (408); a pause of ``STALL_SECONDS`` or a
            rate below ``LEAST_RATE`` ends it earlier.
        take: takes memory for bytes that have arrived; see :meth:`BodyMemory.share`.

    Raises:
        Refused: the body is too large, too slow, empty, or no image; or there is no memory for it
            now.
    """
    kind = request.headers.get("content-type", "application/octet-stream").lower()
    if not kind.startswith(ACCEPTED_TYPES):
        raise Refused(
            415,
            f"Content-Type: got {_printable(kind, 60)!r}; send the image itself as the body, e.g. "
            "curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg'",
            close=True,
        )
    body = bytearray()
    chunks = arriving(request, max_bytes=max_bytes, seconds=seconds, take=take)
    async with aclosing(chunks):
        async for chunk in chunks:
            body += chunk
    if not body:
        raise Refused(422, "the body is empty; send the image itself as the body")
    return bytes(body)


async def arriving(
    request: Request, *, max_bytes: int, seconds: float, take: Callable[[int], None]
) -> AsyncGenerator[bytes]:
    """Pass on the body of a request as it arrives, within the limits of :func:`read_body`.

    Close it (:func:`contextlib.aclosing`) where it may be left before its end.

    Args:
        request: with the body.
        max_bytes: as in :func:`read_body`, like the others.
        seconds: in which the whole body has to arrive.
        take: takes memory for bytes that have arrived.

    Raises:
        Refused: the body is too large or too slow, or there is no memory for it now.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "send the image as it is, without Content-Encoding", close=True)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise Refused(413, f"{declared[:20]} bytes, the limit is {max_bytes}", close=True)
    count = 0
    began = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in _without_pauses(request.stream()):
                count += len(chunk)
                if count > max_bytes:
                    raise Refused(413, f"more than the limit of {max_bytes} bytes", close=True)
                take(len(chunk))
                yield chunk
                elapsed = time.monotonic() - began
                if elapsed > STALL_SECONDS and count < LEAST_RATE * elapsed:
                    raise Refused(
                        408, f"the image comes at {LEAST_RATE} bytes/s or less", close=True
                    )
    except TimeoutError as error:
        raise Refused(408, f"the image did not arrive within {seconds:g} s", close=True) from error
    except ClientDisconnect as error:
        raise Refused(400, "the client closed the connection", close=True) from error


async def _without_pauses(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pass a body on; a pause of its client ends it.

    Raises:
        Refused: nothing came for a while (408).
    """
    while True:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                chunk = await anext(stream, None)
        except TimeoutError as error:
            reason = f"nothing of the image came for {STALL_SECONDS:g} s"
            raise Refused(408, reason, close=True) from error
        if chunk is None:
            return
        yield chunk


def clean_label(text: str) -> str:
    """Return the last part of a client's file name, printable and short; it is never a path."""
    return _printable(text.replace("\\", "/").rsplit("/", 1)[-1], MOST_LABEL)


def _printable(text: str, longest: int) -> str:
    """Drop control and formatting characters (Unicode categories C)."""
    letters = (letter for letter in text if not unicodedata.category(letter).startswith("C"))
    return "".join(letters).strip()[:longest]


class BodyMemory:
    """Limit the bytes of all uploads together; they count as they arrive.

    A client that sends slowly, or nothing, keeps nobody else out.
    """

    def __init__(self, limit: int) -> None:
        """Set the limit in bytes."""
        self.limit, self.used = limit, 0

    @asynccontextmanager
    async def share(self) -> AsyncIterator[Callable[[int], None]]:
        """Give a function that takes bytes, which are given back at the end.

        Raises:
            Refused: the bytes exceed the limit (503).
        """
        taken = 0

        def take(count: int) -> None:
            nonlocal taken
            if self.used + count > self.limit:
                raise Refused(503, "too many images arrive at once; try again", close=True)
            self.used += count
            taken += count

        try:
            yield take
        finally:
            self.used -= taken


class Gate:
    """Limit the number of uploads in work; further ones are refused with 503."""

    def __init__(self, limit: int) -> None:
        """Set the limit."""
        self.limit, self.busy = limit, 0

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """Hold a place.

        Raises:
            Refused: all are taken (503).
        """
        if self.busy >= self.limit:
            busy = counted(self.busy, "image is", "images are")
            raise Refused(503, f"{busy} being worked on; try again in a second")
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1
