"""Bodies of requests, read into memory within limits; nothing is written to a disk, nothing is fetched."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.requests import ClientDisconnect

_LONGEST_LABEL = 200
_ACCEPTED = ("image/", "application/octet-stream", "binary/octet-stream")


class Refused(Exception):  # noqa: N818
    """A request that is answered with an error; ``status`` is its HTTP code."""

    def __init__(self, status: int, reason: str, *, close: bool = False) -> None:
        super().__init__(reason)
        self.status, self.reason, self.close = status, reason, close


async def read_body(request: Request, *, max_bytes: int, seconds: float) -> bytes:
    """The body of a request, which is the image itself.

    Args:
        request: its declared length is not believed; what arrives is counted.
        max_bytes: more is refused as soon as it has arrived (413).
        seconds: the whole body has to arrive in this time (408).

    Raises:
        Refused: too large, too slow, empty, or a form instead of an image.
    """
    kind = request.headers.get("content-type", "application/octet-stream").lower()
    if not kind.startswith(_ACCEPTED):
        raise Refused(
            415,
            "send the image itself as the body (e.g. curl --data-binary @photo.jpg -H 'Content-Type: "
            f"image/jpeg'), not {_plain(kind, 60)!r}",
            close=True,
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "send the image as it is, without Content-Encoding", close=True)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise Refused(413, f"{declared[:20]} bytes, the limit is {max_bytes}", close=True)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise Refused(413, f"more than {max_bytes} bytes", close=True)
    except TimeoutError as error:
        raise Refused(408, f"the image did not arrive within {seconds:g} s", close=True) from error
    except ClientDisconnect as error:
        raise Refused(400, "the client went away", close=True) from error
    if not body:
        raise Refused(422, "the body is empty; send the image itself as the body")
    return bytes(body)


def clean_label(text: str) -> str:
    """What a client calls an image, as plain text of bounded length; it is shown, never used as a path."""
    return _plain(text.replace("\\", "/").rsplit("/", 1)[-1], _LONGEST_LABEL)


def _plain(text: str, longest: int) -> str:
    kept = (letter for letter in text if not unicodedata.category(letter).startswith("C"))
    return "".join(kept).strip()[:longest]


class Gate:
    """At most so many uploads at once; the next one is told to come back."""

    def __init__(self, most: int) -> None:
        """Set how many."""
        self.most, self.busy = most, 0

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """Hold a place.

        Raises:
            Refused: all are taken (503).
        """
        if self.busy >= self.most:
            raise Refused(
                503, f"{self.busy} images are being worked on; try again in a second", close=True
            )
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1
