"""What a store keeps of an image: its content, and the names that point at it."""

from __future__ import annotations

from dataclasses import dataclass

from asl.app.library.facts import Facts
from asl.types import F32


@dataclass(frozen=True, eq=False)
class Record:
    """One content.

    Attributes:
        digest: SHA-256 of the encoded file, hexadecimal.
        facts: what the file says.
        feature: float32 ``[D]``, un-normalised; None where the file is no usable image.
        picture: JPEG at the size at which pairs are compared.
        failure: why it is no usable image.
        parts: float32 ``[R, D]`` of parts of the image, un-normalised; None where none were
            embedded.
    """

    digest: str
    facts: Facts
    feature: F32 | None = None
    picture: bytes = b""
    failure: str = ""
    parts: F32 | None = None


@dataclass(frozen=True)
class Name:
    """A name and the content that it points at.

    Attributes:
        name: unique in a store.
        digest: of its content.
        label: for people, e.g. what a client called the file.
        size: of the file in bytes when it was read, 0 where it was no file.
        changed: modification time of the file in nanoseconds.
    """

    name: str
    digest: str
    label: str = ""
    size: int = 0
    changed: int = 0
