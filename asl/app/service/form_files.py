"""Read the files of a multipart form as they arrive; nothing is written to disk.

The parser is python-multipart's; Starlette's own reader would write large files to a temporary
folder and read the form before a limit is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from asl.app.service.uploads import Refused, arriving, clean_label

FORM_TYPE = "multipart/form-data"
MOST_HEADERS = 8  # of a part
MOST_HEADER_BYTES = 4096  # of one header line


@dataclass(eq=False)
class FormFile:
    """One file of a form.

    Attributes:
        field: name of the form's field.
        label: file name that the client sent, for people.
        data: its bytes.
    """

    field: str
    label: str
    data: bytes = b""


def is_form(request: Request) -> bool:
    """Check that the body is a multipart form."""
    return request.headers.get("content-type", "").lower().startswith(FORM_TYPE)


async def read_form(
    request: Request,
    *,
    field: str,
    most: int,
    max_bytes: int,
    max_file_bytes: int,
    seconds: float,
    take: Callable[[int], None],
) -> list[FormFile]:
    """Read the files of a multipart form.

    Args:
        request: with the form.
        field: name that every field of the form must have.
        most: files; more are refused (413).
        max_bytes: of the whole body (413).
        max_file_bytes: of each file (413).
        seconds: in which the whole body has to arrive (408).
        take: takes memory for bytes that have arrived; see
            :meth:`asl.app.service.uploads.BodyMemory.share`.

    Raises:
        Refused: a limit is exceeded, the form is malformed, or it has no file or another field.
    """
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 70:  # RFC 2046
        raise Refused(422, "Content-Type: the form has no boundary, or a long one", close=True)
    reader = _FormReader(boundary, field=field, most=most, max_file_bytes=max_file_bytes)
    chunks = arriving(request, max_bytes=max_bytes, seconds=seconds, take=take)
    async with aclosing(chunks):
        async for chunk in chunks:
            reader.write(chunk)
    return reader.files()


@dataclass(eq=False)
class _Part:
    """One part while it arrives."""

    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)


class _FormReader:
    def __init__(self, boundary: bytes, *, field: str, most: int, max_file_bytes: int) -> None:
        self._field = field
        self._most, self._max_file_bytes = most, max_file_bytes
        self._name, self._value = bytearray(), bytearray()
        self._part = _Part()
        self._files: list[FormFile] = []
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._take_name,
                "on_header_value": self._take_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._check_headers,
                "on_part_data": self._take_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
            max_header_count=MOST_HEADERS,
            max_header_size=MOST_HEADER_BYTES,
        )

    def write(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise Refused(422, f"the form is malformed: {error}"[:200], close=True) from error

    def files(self) -> list[FormFile]:
        if not self._ended:
            raise Refused(422, "the form ends before its last boundary")
        if not self._files:
            raise Refused(422, f"the form has no file; send it as the field {self._field!r}")
        return self._files

    def _begin(self) -> None:
        if len(self._files) >= self._most:
            files = f"{self._most} files" if self._most > 1 else "one file"
            raise Refused(413, f"the form may have {files} at most", close=True)
        self._part = _Part()

    def _take_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._part.headers.append((bytes(self._name).lower(), bytes(self._value)))
        self._name.clear()
        self._value.clear()

    def _check_headers(self) -> None:
        """Refuse a part that is no file of the expected field before its data arrive."""
        headers = dict(self._part.headers)
        _, options = parse_options_header(headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name != self._field or b"filename" not in options:
            raise Refused(
                422,
                f"the form has a field {clean_label(name)[:60]!r} that is no file {self._field!r}; "
                f"send images as {self._field!r}, parameters in the address",
                close=True,
            )
        label = clean_label(options[b"filename"].decode("utf-8", "replace"))
        self._files.append(FormFile(name, label))

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if len(self._part.data) + end - start > self._max_file_bytes:
            raise Refused(
                413, f"a file of more than the limit of {self._max_file_bytes} bytes", close=True
            )
        self._part.data += data[start:end]

    def _end_part(self) -> None:
        self._files[-1].data = bytes(self._part.data)
        self._part = _Part()

    def _end(self) -> None:
        self._ended = True
